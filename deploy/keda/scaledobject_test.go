package keda_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"testing"

	"github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	"sigs.k8s.io/yaml"

	"github.com/tokenrelay/tokenrelay/deploy/helm"
)

// scaledObjects are those that the chart makes of these values, each decoded
// strictly into KEDA's type and checked as KEDA's admission does.
func scaledObjects(t *testing.T, values ...string) []*v1alpha1.ScaledObject {
	t.Helper()
	release, err := helm.Render(values...)
	if err != nil {
		t.Fatal(err)
	}
	var list []*v1alpha1.ScaledObject
	for _, text := range release.Objects {
		if !bytes.Contains(text, []byte("kind: ScaledObject\n")) {
			continue
		}
		object := &v1alpha1.ScaledObject{}
		if err := yaml.UnmarshalStrict(text, object); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if got := object.APIVersion; got != v1alpha1.GroupVersion.String() {
			t.Errorf("%s is of %s, and KEDA's is %s", object.Name, got, v1alpha1.GroupVersion)
		}
		if err := v1alpha1.CheckReplicaCountBoundsAreValid(object); err != nil {
			t.Error(err)
		}
		list = append(list, object)
	}
	return list
}

func TestScaledObjects(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(helm.Files, "cases/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, file := range files {
		values, err := helm.Files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range scaledObjects(t, string(values)) {
			m := s.Spec.Triggers[0].Metadata
			got[file] += fmt.Sprintf("%s %d-%d %s/%s by %s", s.Spec.ScaleTargetRef.Name, *s.Spec.MinReplicaCount, *s.Spec.MaxReplicaCount, m["stream"], m["consumer"], m["lagThreshold"])
		}
	}
	want := map[string]string{
		"cases/fleet.yaml":      "relay-tokenrelay-courier-worker 2-20 TOKENS/courier by 5000",
		"cases/permits.yaml":    "relay-tokenrelay-worker 2-5 TOKENS/clevertap by 5000",
		"cases/everything.yaml": "push-tokens-courier-worker 3-30 TOKENS/courier by 10000000",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("ScaledObjects are\n%v\nwant\n%v", got, want)
	}
}
