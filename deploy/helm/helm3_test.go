package helm_test

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"

	"github.com/tokenrelay/tokenrelay/deploy/helm"
)

// Helm 3 is what most platforms have: it makes the same of the chart, and
// refuses the same.
func TestHelm3RendersTheSame(t *testing.T) {
	t.Parallel()
	const root = "tokenrelay/"
	var files []*loader.BufferedFile
	err := fs.WalkDir(helm.Files, strings.TrimSuffix(root, "/"), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := helm.Files.ReadFile(name)
		files = append(files, &loader.BufferedFile{Name: strings.TrimPrefix(name, root), Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := loader.LoadFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	render := func(values string) (map[string]string, error) {
		given, err := chartutil.ReadValues([]byte(values))
		if err != nil {
			t.Fatal(err)
		}
		all, err := chartutil.ToRenderValues(loaded, given, chartutil.ReleaseOptions{Name: "relay", Namespace: "push", Revision: 1, IsInstall: true}, nil)
		if err != nil {
			return nil, err
		}
		return engine.Render(loaded, all)
	}
	for name, values := range cases(t) {
		rendered, err := render(values)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		release, err := helm.Render(values)
		if err != nil {
			t.Fatal(err)
		}
		var theirs, ours strings.Builder
		for _, file := range slices.Sorted(maps.Keys(rendered)) {
			if path.Base(file) != "NOTES.txt" {
				theirs.WriteString(rendered[file])
			}
		}
		for _, object := range release.Objects {
			ours.Write(object)
		}
		words := func(text string) []string { return strings.Fields(strings.ReplaceAll(text, "\n---", "\n")) }
		if !slices.Equal(words(theirs.String()), words(ours.String())) {
			t.Errorf("%s: Helm 3 has\n%s\nHelm 4 has\n%s", name, theirs.String(), ours.String())
		}
	}
	if _, err := render("worker: {replica: 3}"); err == nil || !strings.Contains(err.Error(), "at '/worker': additional properties 'replica' not allowed") {
		t.Errorf("Helm 3 says %v", err)
	}
}
