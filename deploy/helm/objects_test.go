package helm_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/tokenrelay/tokenrelay/deploy/helm"
)

// What each case is there for: so that none of them is about nothing.
func TestEveryCaseHasItsObjects(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"default":    "Deployment PodDisruptionBudget ServiceAccount",
		"bare":       "Deployment",
		"nothing":    "",
		"both":       "Deployment Deployment Ingress PodDisruptionBudget Service ServiceAccount",
		"fleet":      "Deployment Deployment NetworkPolicy NetworkPolicy PodDisruptionBudget PodMonitor PrometheusRule ScaledObject ServiceAccount",
		"permits":    "Deployment PodDisruptionBudget ScaledObject ServiceAccount",
		"courier":    "Deployment HorizontalPodAutoscaler PodDisruptionBudget ServiceAccount",
		"everything": "ConfigMap Deployment Deployment Deployment NetworkPolicy NetworkPolicy NetworkPolicy PodDisruptionBudget PodDisruptionBudget PodMonitor PrometheusRule ScaledObject Service ServiceAccount",
	}
	for name, values := range cases(t) {
		var kinds []string
		for _, object := range objects(t, values) {
			kinds = append(kinds, object.GetObjectKind().GroupVersionKind().Kind)
		}
		slices.Sort(kinds)
		if got := strings.Join(kinds, " "); got != want[name] {
			t.Errorf("%s has %s; want %s", name, got, want[name])
		}
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	eachCase(t, func(t *testing.T, objects []runtime.Object) {
		seen := map[string]bool{}
		for _, object := range objects {
			m, err := meta.Accessor(object)
			if err != nil {
				t.Fatal(err)
			}
			key := object.GetObjectKind().GroupVersionKind().Kind + " " + m.GetName()
			if seen[key] {
				t.Errorf("%s is there twice", key)
			}
			seen[key] = true
			if len(validation.IsDNS1123Label(m.GetName())) > 0 {
				t.Errorf("%s is no name", key)
			}
			for name, value := range m.GetLabels() {
				if problems := append(validation.IsQualifiedName(name), validation.IsValidLabelValue(value)...); len(problems) > 0 {
					t.Errorf("%s has the label %s: %q: %v", key, name, value, problems)
				}
			}
		}
	})
}

func TestNamesOfAnyLength(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long", 12) + "-"
	for _, values := range []string{at("nameOverride", long), at("fullnameOverride", long[:46])} {
		for _, d := range all[*appsv1.Deployment](objects(t, cases(t)["fleet"], values)) {
			// A pod's name has up to 17 letters more, and is its host's name.
			if len(d.Name) > 63 || strings.Contains(d.Name, "--") || len(validation.IsValidLabelValue(d.Spec.Template.Labels["app.kubernetes.io/name"])) > 0 {
				t.Errorf("the Deployment %q has labels %v", d.Name, d.Spec.Template.Labels)
			}
		}
	}
}

// An admission that enforces the profile `restricted` takes every pod.
func TestPodsAreRestricted(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	refusal := func(d *appsv1.Deployment) string {
		results := evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &d.Spec.Template.ObjectMeta, &d.Spec.Template.Spec)
		aggregate := policy.AggregateCheckResults(results)
		if aggregate.Allowed {
			return ""
		}
		return aggregate.ForbiddenDetail()
	}
	eachCase(t, func(t *testing.T, objects []runtime.Object) {
		for _, d := range all[*appsv1.Deployment](objects) {
			if why := refusal(d); why != "" {
				t.Errorf("%s is refused: %s", d.Name, why)
			}
			spec := d.Spec.Template.Spec
			if *spec.AutomountServiceAccountToken || *spec.EnableServiceLinks || !*ours(d).SecurityContext.ReadOnlyRootFilesystem {
				t.Errorf("%s has a token of the API server, the services' variables, or a root that can be written", d.Name)
			}
			if name := spec.ServiceAccountName; name != "default" && !slices.ContainsFunc(all[*corev1.ServiceAccount](objects), func(a *corev1.ServiceAccount) bool { return a.Name == name }) {
				t.Errorf("%s has the service account %s, which is not there", d.Name, name)
			}
		}
	})
	// The evaluator does refuse.
	for _, d := range all[*appsv1.Deployment](objects(t, at("securityContext.allowPrivilegeEscalation", "true"))) {
		if !strings.Contains(refusal(d), "allowPrivilegeEscalation") {
			t.Errorf("a pod that may rise is refused with %q", refusal(d))
		}
	}
}

// Everything that selects pods selects those of one Deployment, and those only.
func TestSelectors(t *testing.T) {
	t.Parallel()
	eachCase(t, func(t *testing.T, objects []runtime.Object) {
		selects := func(what string, selector *metav1.LabelSelector, names ...string) {
			t.Helper()
			s, err := metav1.LabelSelectorAsSelector(selector)
			if err != nil {
				t.Fatal(err)
			}
			var chosen []string
			for _, d := range all[*appsv1.Deployment](objects) {
				if s.Matches(labels.Set(d.Spec.Template.Labels)) {
					chosen = append(chosen, d.Name)
				}
			}
			slices.Sort(chosen)
			slices.Sort(names)
			if !slices.Equal(chosen, names) {
				t.Errorf("%s selects pods of %v; want %v", what, chosen, names)
			}
		}
		for _, d := range all[*appsv1.Deployment](objects) {
			selects("Deployment "+d.Name, d.Spec.Selector, d.Name)
			for i, c := range d.Spec.Template.Spec.TopologySpreadConstraints {
				if _, given := c.LabelSelector.MatchLabels["tier"]; !given {
					selects(fmt.Sprintf("spread %d of %s", i, d.Name), c.LabelSelector, d.Name)
				}
				// Old pods of a roll-out would else count where new ones go.
				if given := strings.HasPrefix(d.Name, "push-tokens") && i == 0; !given && !slices.Equal(c.MatchLabelKeys, []string{"pod-template-hash"}) {
					t.Errorf("spread %d of %s counts by %q", i, d.Name, c.MatchLabelKeys)
				}
			}
		}
		for _, p := range all[*policyv1.PodDisruptionBudget](objects) {
			selects("budget "+p.Name, p.Spec.Selector, p.Name)
		}
		for _, n := range all[*networkingv1.NetworkPolicy](objects) {
			selects("policy "+n.Name, &n.Spec.PodSelector, n.Name)
		}
		for _, s := range all[*corev1.Service](objects) {
			selects("service "+s.Name, &metav1.LabelSelector{MatchLabels: s.Spec.Selector}, s.Name)
		}
		var scraped []string
		for _, d := range workers(objects) {
			scraped = append(scraped, d.Name)
		}
		for _, m := range all[*monitoringv1.PodMonitor](objects) {
			selects("monitor "+m.Name, &m.Spec.Selector, scraped...)
		}
	})
}

// What names a port names one that the container has.
func TestPorts(t *testing.T) {
	t.Parallel()
	eachCase(t, func(t *testing.T, objects []runtime.Object) {
		for _, d := range all[*appsv1.Deployment](objects) {
			c := ours(d)
			addr := env(c)["HTTP_ADDR"] + env(c)["CONSOLE_ADDR"]
			if len(c.Ports) != 1 || c.Ports[0].Name != "http" || addr != fmt.Sprintf(":%d", c.Ports[0].ContainerPort) {
				t.Errorf("%s listens on %s, and its ports are %v", d.Name, addr, c.Ports)
			}
			for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
				if probe.HTTPGet.Port.StrVal != "http" {
					t.Errorf("%s is probed at port %s", d.Name, probe.HTTPGet.Port.String())
				}
			}
		}
		for _, m := range all[*monitoringv1.PodMonitor](objects) {
			if *m.Spec.PodMetricsEndpoints[0].Port != "http" {
				t.Errorf("%s scrapes port %s", m.Name, *m.Spec.PodMetricsEndpoints[0].Port)
			}
		}
		for _, s := range all[*corev1.Service](objects) {
			if s.Spec.Ports[0].TargetPort.StrVal != "http" {
				t.Errorf("%s leads to port %s", s.Name, s.Spec.Ports[0].TargetPort.String())
			}
		}
	})
}

// A drain takes one pod at a time, and is never refused for good.
func TestDisruptionBudgets(t *testing.T) {
	t.Parallel()
	eachCase(t, func(t *testing.T, objects []runtime.Object) {
		for _, p := range all[*policyv1.PodDisruptionBudget](objects) {
			if p.Spec.MinAvailable != nil || p.Spec.MaxUnavailable == nil || p.Spec.MaxUnavailable.String() == "0" || *p.Spec.UnhealthyPodEvictionPolicy != policyv1.AlwaysAllow {
				t.Errorf("%s may keep a node from being drained: %+v", p.Name, p.Spec)
			}
			if p.Spec.MaxUnavailable.IntVal != 1 && p.Spec.MaxUnavailable.StrVal == "" {
				t.Errorf("%s lets %s pods go at a time", p.Name, p.Spec.MaxUnavailable)
			}
		}
	})
}

// Sessions and jobs live in a console's memory: there is never a second one.
func TestConsoleIsAlone(t *testing.T) {
	t.Parallel()
	eachCase(t, func(t *testing.T, objects []runtime.Object) {
		for _, d := range all[*appsv1.Deployment](objects) {
			if ours(d).Name == "console" && (*d.Spec.Replicas != 1 || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType) {
				t.Errorf("%s has %d pods, changed by %s", d.Name, *d.Spec.Replicas, d.Spec.Strategy.Type)
			}
		}
	})
}

// What scales owns the number of pods, and never scales into the permits.
func TestScaling(t *testing.T) {
	t.Parallel()
	type scaling struct{ min, max int64 }
	eachCase(t, func(t *testing.T, objects []runtime.Object) {
		scaled := map[string]scaling{}
		for _, h := range all[*autoscalingv2.HorizontalPodAutoscaler](objects) {
			scaled[h.Spec.ScaleTargetRef.Name] = scaling{int64(*h.Spec.MinReplicas), int64(h.Spec.MaxReplicas)}
			if name := h.Spec.Metrics[0].ContainerResource.Container; name != "worker" {
				t.Errorf("%s looks at the container %s", h.Name, name)
			}
		}
		for _, s := range all[*unstructured.Unstructured](objects) {
			name, _, _ := unstructured.NestedString(s.Object, "spec", "scaleTargetRef", "name")
			least, _, _ := unstructured.NestedInt64(s.Object, "spec", "minReplicaCount")
			most, _, _ := unstructured.NestedInt64(s.Object, "spec", "maxReplicaCount")
			scaled[name] = scaling{least, most}
		}
		for _, d := range all[*appsv1.Deployment](objects) {
			s, isScaled := scaled[d.Name]
			delete(scaled, d.Name)
			if isScaled != (d.Spec.Replicas == nil) {
				t.Errorf("%s is scaled: %t, and has replicas: %v", d.Name, isScaled, d.Spec.Replicas)
			}
			if !isScaled {
				continue
			}
			told := env(ours(d))
			permits, err := strconv.ParseInt(told["CLEVERTAP_MAX_CONCURRENT"], 10, 64)
			if err != nil || s.min < 1 || told["PROVIDERS"] != "courier" && s.max > permits {
				t.Errorf("%s delivers to %q with %d permits, by %d to %d pods", d.Name, told["PROVIDERS"], permits, s.min, s.max)
			}
		}
		if len(scaled) > 0 {
			t.Errorf("what is scaled does not exist: %v", scaled)
		}
	})
}

func TestNetworkPolicyLetsOutWhatIsNeeded(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[string]string{
		"fleet":      {"relay-tokenrelay-worker": "53 53 4222 4223 443", "relay-tokenrelay-courier-worker": "53 53 4222 4223 443"},
		"everything": {"push-tokens-worker": "53 53 4443 443 8080", "push-tokens-courier-worker": "53 53 4443 443 8080", "push-tokens-console": "53 53 4443"},
	} {
		for _, n := range all[*networkingv1.NetworkPolicy](objects(t, cases(t)[name])) {
			var ports []string
			for _, p := range n.Spec.Egress[0].Ports {
				ports = append(ports, p.Port.String())
			}
			if got := strings.Join(ports, " "); got != want[n.Name] {
				t.Errorf("%s lets out %s; want %s", n.Name, got, want[n.Name])
			}
			if len(n.Spec.PolicyTypes) != 2 || n.Spec.Ingress[0].Ports[0].Port.StrVal != "http" {
				t.Errorf("%s: %+v", n.Name, n.Spec)
			}
		}
	}
}

// What a person reads after an installation.
func TestNotes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"default":    {"WARNING: no provider has credentials", "exec deploy/relay-tokenrelay-worker -- /worker check"},
		"both":       {"relay-tokenrelay-worker delivers to clevertap and courier, with 2 pods", "port-forward svc/relay-tokenrelay-console 8090:80", "http://localhost:8090"},
		"fleet":      {"relay-tokenrelay-courier-worker delivers to courier, with 2 to 20 pods (keda)", "relay-tokenrelay-worker delivers to clevertap, with 3 pods"},
		"everything": {"https://localhost:8090"},
	} {
		release, err := helm.Render(cases(t)[name])
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range want {
			if !strings.Contains(release.Notes, text) {
				t.Errorf("the notes of %s lack %q:\n%s", name, text, release.Notes)
			}
		}
		if warns := strings.Contains(release.Notes, "WARNING"); warns != (name == "default") {
			t.Errorf("the notes of %s warn: %t", name, warns)
		}
	}
}
