package helm_test

import (
	"bytes"
	"io/fs"
	"path"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/tokenrelay/tokenrelay/deploy/helm"
)

// cases are the values that the chart is tried with, by name.
func cases(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	files, err := fs.Glob(helm.Files, "cases/*.yaml")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d cases: %v", len(files), err)
	}
	for _, file := range files {
		text, err := helm.Files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimSuffix(path.Base(file), ".yaml")] = string(text)
	}
	return found
}

// eachCase runs a test for each of them.
func eachCase(t *testing.T, test func(t *testing.T, objects []runtime.Object)) {
	t.Helper()
	for name, values := range cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, objects(t, values))
		})
	}
}

// objects renders the chart and decodes what comes of it.
func objects(t *testing.T, values ...string) []runtime.Object {
	t.Helper()
	release, err := helm.Render(values...)
	if err != nil {
		t.Fatal(err)
	}
	var list []runtime.Object
	for _, text := range release.Objects {
		list = append(list, decode(t, text))
	}
	return list
}

// decode reads an object into its type and refuses what that does not have.
func decode(t *testing.T, text []byte) runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme, monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	// KEDA's own type needs KEDA's module: ../keda decodes it.
	scaled := schema.GroupVersionKind{Group: "keda.sh", Version: "v1alpha1", Kind: "ScaledObject"}
	if bytes.Contains(text, []byte("kind: "+scaled.Kind)) {
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(text, object); err != nil || object.GroupVersionKind() != scaled {
			t.Fatalf("%v\n%s", err, text)
		}
		return object
	}
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	object, _, err := decoder.Decode(text, nil, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return object
}

// all are the objects of one type.
func all[T runtime.Object](objects []runtime.Object) []T {
	var list []T
	for _, object := range objects {
		if of, ok := object.(T); ok {
			list = append(list, of)
		}
	}
	return list
}

// workers are the Deployments but the console's.
func workers(objects []runtime.Object) []*appsv1.Deployment {
	var list []*appsv1.Deployment
	for _, d := range all[*appsv1.Deployment](objects) {
		if ours(d).Name == "worker" {
			list = append(list, d)
		}
	}
	return list
}

// ours is the container that runs a command of this project.
func ours(d *appsv1.Deployment) *corev1.Container {
	return &d.Spec.Template.Spec.Containers[0]
}

// env is what a container is told.
func env(c *corev1.Container) map[string]string {
	told := map[string]string{}
	for _, v := range c.Env {
		told[v.Name] = v.Value
	}
	return told
}

// at writes values for a path: "worker.replicas", 3.
func at(path, value string) string {
	var text strings.Builder
	keys := strings.Split(path, ".")
	for depth, key := range keys {
		text.WriteString(strings.Repeat("  ", depth) + key + ":")
		if depth < len(keys)-1 {
			text.WriteString("\n")
		}
	}
	return text.String() + " " + value + "\n"
}
