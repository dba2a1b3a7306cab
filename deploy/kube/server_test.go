package kube_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1" // definitions reads its source
	"go.etcd.io/etcd/server/v3/embed"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app/testing"
	"sigs.k8s.io/yaml"
)

const namespace = "push"

// server is an API server with its storage, and what it warned of.
type server struct {
	client   dynamic.Interface
	warnings *warnings
}

// warnings are the answers' headers, the client's way to hear of what is
// admitted and should not be.
type warnings struct {
	mu   sync.Mutex
	told []string
}

func (w *warnings) HandleWarningHeader(_ int, _ string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, text)
}

func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := w.told
	w.told = nil
	return told
}

func startServer(t *testing.T) *server {
	t.Helper()
	storage := storagebackend.NewDefaultConfig("/registry", nil)
	storage.Transport.ServerList = []string{startStorage(t)}
	running, err := apiserver.StartTestServer(t, nil, nil, storage)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.TearDownFn)
	heard := &warnings{}
	config := rest.CopyConfig(running.ClientConfig)
	config.WarningHandler = heard
	config.QPS, config.Burst = -1, -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &server{client, heard}
}

// startStorage runs etcd.
func startStorage(t *testing.T) string {
	t.Helper()
	anywhere := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config := embed.NewConfig()
	config.Dir, config.LogLevel, config.UnsafeNoFsync = t.TempDir(), "panic", true
	config.ListenClientUrls, config.ListenPeerUrls = anywhere, anywhere
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	select {
	case <-etcd.Server.ReadyNotify():
	case <-time.After(time.Minute):
		t.Fatal("etcd does not start")
	}
	return "http://" + etcd.Clients[0].Addr().String()
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return o
}

// of is where objects of a kind are, within the namespace if they have one.
func (s *server) of(o *unstructured.Unstructured) dynamic.ResourceInterface {
	resource, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
	if slices.Contains([]string{"Namespace", "PriorityClass", "CustomResourceDefinition"}, o.GetKind()) {
		return s.client.Resource(resource)
	}
	return s.client.Resource(resource).Namespace(namespace)
}

// create makes an object for good.
func (s *server) create(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	if _, err := s.of(o).Create(t.Context(), o, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
		t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
	}
}

// apply is kubectl apply --server-side --dry-run=server.
func (s *server) apply(ctx context.Context, o *unstructured.Unstructured) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = s.of(o).Patch(ctx, o.GetName(), types.ApplyPatchType, text, metav1.PatchOptions{
		FieldManager: "helm", FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll},
	})
	return err
}

// install makes custom resources and waits until they are served.
func (s *server) install(t *testing.T, definitions []string) {
	t.Helper()
	for _, text := range definitions {
		definition := object(t, text)
		s.create(t, definition)
		deadline := time.Now().Add(time.Minute)
		for !s.isServed(t, definition) {
			if time.Now().After(deadline) {
				t.Fatalf("%s is not served", definition.GetName())
			}
			select {
			case <-t.Context().Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}

func (s *server) isServed(t *testing.T, definition *unstructured.Unstructured) bool {
	t.Helper()
	found, err := s.of(definition).Get(t.Context(), definition.GetName(), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	conditions, _, _ := unstructured.NestedSlice(found.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(c any) bool {
		condition, ok := c.(map[string]any)
		return ok && condition["type"] == string(apiextensionsv1.Established) && condition["status"] == string(apiextensionsv1.ConditionTrue)
	})
}

// definitions are KEDA's, as its module has them, and the Prometheus
// operator's, made of its types as the operator makes them.
func definitions(t *testing.T) []string {
	t.Helper()
	var module struct{ Dir string }
	if err := json.Unmarshal(run(t, "../keda", "go", "mod", "download", "-json", "github.com/kedacore/keda/v2"), &module); err != nil {
		t.Fatal(err)
	}
	files := []string{filepath.Join(module.Dir, "config/crd/bases/keda.sh_scaledobjects.yaml")}
	dir := t.TempDir()
	run(t, ".", "go", "tool", "controller-gen", "crd", "paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1", "output:crd:dir="+dir)
	for _, name := range []string{"podmonitors", "prometheusrules"} {
		files = append(files, filepath.Join(dir, "monitoring.coreos.com_"+name+".yaml"))
	}
	var texts []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

// run is a command's standard output.
func run(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = dir
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command.Args, " "), err, complaints.String())
	}
	return output
}
