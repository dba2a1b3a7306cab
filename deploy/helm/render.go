// Package helm holds the chart, and renders it as Helm does: for the tests of
// this folder and of those beside it.
//
// It knows Helm's engine and what a chart is made of; what the objects are it
// refuses to know. It owns no goroutine.
package helm

import (
	"bufio"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Files is the chart in tokenrelay/, and in cases/ values that it is tried with.
//
//go:embed all:tokenrelay cases
var Files embed.FS

// Release is what an installation of the chart consists of.
type Release struct {
	Objects [][]byte // YAML, one object each
	Notes   string
}

// Render is the chart with these values, YAML, the later ones over the former,
// as `helm template relay tokenrelay --namespace push -f … -f …` has it. An
// error is what Helm would say.
func Render(values ...string) (*Release, error) {
	loaded, err := load()
	if err != nil {
		return nil, err
	}
	given := map[string]any{}
	for _, text := range values {
		over, err := loader.LoadValues(strings.NewReader(text))
		if err != nil {
			return nil, err
		}
		given = loader.MergeMaps(given, over)
	}
	all, err := util.ToRenderValues(loaded, given, common.ReleaseOptions{Name: "relay", Namespace: "push", Revision: 1, IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(loaded, all)
	if err != nil {
		return nil, err
	}
	release := &Release{}
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		if path.Base(name) == "NOTES.txt" {
			release.Notes = rendered[name]
			continue
		}
		objects, err := split(rendered[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		release.Objects = append(release.Objects, objects...)
	}
	return release, nil
}

func load() (*chart.Chart, error) {
	const root = "tokenrelay"
	var files []*archive.BufferedFile
	err := fs.WalkDir(Files, root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := Files.ReadFile(name)
		files = append(files, &archive.BufferedFile{Name: strings.TrimPrefix(name, root+"/"), Data: data})
		return err
	})
	if err != nil {
		return nil, err
	}
	return loader.LoadFiles(files)
}

// split leaves out documents without an object.
func split(text string) ([][]byte, error) {
	var objects [][]byte
	reader := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		object, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(bytes.TrimPrefix(object, []byte("---")))) > 0 {
			objects = append(objects, object)
		}
	}
}
