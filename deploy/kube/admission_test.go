package kube_test

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tokenrelay/tokenrelay/deploy/helm"
)

// Every object of every case is taken, without a warning; and every pod of it,
// by the admission that enforces the profile `restricted`.
func TestServerTakesTheChart(t *testing.T) {
	s := startServer(t)
	s.create(t, object(t, `
apiVersion: v1
kind: Namespace
metadata:
  name: push
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
`))
	for _, given := range []string{ // what the cases expect of their namespace
		`{apiVersion: v1, kind: ServiceAccount, metadata: {name: default}}`,
		`{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 100}`,
		`{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: low}, value: 1}`,
	} {
		s.create(t, object(t, given))
	}
	s.install(t, definitions(t))
	s.warnings.take()

	files, err := fs.Glob(helm.Files, "cases/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(path.Base(file), ".yaml"), func(t *testing.T) {
			values, err := helm.Files.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			release, err := helm.Render(string(values))
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range release.Objects {
				o := object(t, string(text))
				kinds[o.GetKind()]++
				if err := s.apply(t.Context(), o); err != nil {
					t.Errorf("%s %s: %v", o.GetKind(), o.GetName(), err)
				}
				if o.GetKind() == "Deployment" {
					if err := s.apply(t.Context(), podOf(t, o)); err != nil {
						t.Errorf("a pod of %s: %v", o.GetName(), err)
					}
				}
			}
			if told := s.warnings.take(); len(told) > 0 {
				t.Errorf("the server warns: %s", strings.Join(told, "\n"))
			}
		})
	}
	t.Logf("taken: %v", kinds)
	for _, kind := range []string{"Deployment", "ScaledObject", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor", "PrometheusRule", "Service", "ServiceAccount", "Ingress", "ConfigMap"} {
		if kinds[kind] == 0 {
			t.Errorf("no case has a %s", kind)
		}
	}
	s.refuses(t)
}

// podOf is a pod as the Deployment's controllers would make it. There is none
// here that makes service accounts' tokens or pods.
func podOf(t *testing.T, deployment *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	template, _, err := unstructured.NestedMap(deployment.Object, "spec", "template")
	if err != nil {
		t.Fatal(err)
	}
	pod := &unstructured.Unstructured{Object: template}
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	pod.SetName(deployment.GetName())
	if err := unstructured.SetNestedField(pod.Object, "default", "spec", "serviceAccountName"); err != nil {
		t.Fatal(err)
	}
	return pod
}

// refuses shows that the server looks: at security, fields, limits and custom
// resources.
func (s *server) refuses(t *testing.T) {
	t.Helper()
	for text, want := range map[string]string{
		`{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: i}]}}`:                                                                                    `violates PodSecurity "restricted:latest"`,
		`{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}, automountToken: false}`:                                                                                             `field not declared in schema`,
		`{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: p}, spec: {maxUnavailable: 1, minAvailable: 1}}`:                                                            `cannot be both set`,
		`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: s}, spec: {scaleTargetRef: {name: d}, triggers: [{type: nats-jetstream, metadata: {lagThreshold: 5000}}]}}`: `lagThreshold`,
		`{apiVersion: monitoring.coreos.com/v1, kind: PodMonitor, metadata: {name: m}, spec: {selector: {}, podMetricsEndpoints: [{port: http, interval: soon}]}}`:                       `interval`,
		`{apiVersion: monitoring.coreos.com/v1, kind: PrometheusRule, metadata: {name: r}, spec: {groups: [{rules: []}]}}`:                                                               `name`,
		`{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: policy}, spec: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 99999}]}]}}`:          `port`,
	} {
		if err := s.apply(t.Context(), object(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nis answered with %v; want %s", text, err, want)
		}
	}
	s.warnings.take()
}
