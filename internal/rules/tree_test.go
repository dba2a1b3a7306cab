package rules_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tokenrelay/tokenrelay"

// root is the top of the tree, seen from this package's folder.
const root = "../.."

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath, Name, Doc string
	Standard              bool
	Module                *struct{ Path string }

	GoFiles                            []string // none where there are only tests
	Imports, TestImports, XTestImports []string
	Deps                               []string // all, in the end
}

func (p *pkg) ours() bool { return p.Module != nil && p.Module.Path == module }

// short is a package of ours without the module's path.
func short(path string) string { return strings.TrimPrefix(path, module+"/") }

// list asks the go tool for our packages and for all they are made of.
func list(t *testing.T) map[string]*pkg {
	t.Helper()
	all := map[string]*pkg{}
	// With -test also what only tests import; its variants, "a [a.test]", are
	// not packages of their own.
	decoder := json.NewDecoder(strings.NewReader(run(t, "go", "list", "-deps", "-test",
		"-json=ImportPath,Name,Doc,Standard,Module,GoFiles,Imports,TestImports,XTestImports,Deps", "./...")))
	for {
		p := &pkg{}
		err := decoder.Decode(p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		if !strings.Contains(p.ImportPath, " ") && !strings.HasSuffix(p.ImportPath, ".test") {
			all[p.ImportPath] = p
		}
	}
	if len(all) < 100 { // the standard library alone is more
		t.Fatalf("go list names only %d packages", len(all))
	}
	return all
}

// listOurs are the packages of ours, in order.
func listOurs(t *testing.T) []*pkg {
	t.Helper()
	all := list(t)
	var ours []*pkg
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if all[path].ours() {
			ours = append(ours, all[path])
		}
	}
	return ours
}

// run is a command's standard output, at the top of the tree.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = root
	var complaints strings.Builder
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, complaints.String())
	}
	return string(output)
}

// files are the tree's own: not what git, a build or a data folder put there.
// Reading them in the test, rather than by a command, also tells the go tool
// when a cached result is out of date.
func files(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") && name != ".ci" || filepath.Dir(path) == root && (name == "bin" || name == "data")) {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(name) {
		case ".go", ".md", ".mod", ".json", ".yml", ".yaml", ".sh", ".html", ".css", ".js":
		default:
			if name != "Makefile" && name != "run" {
				return nil
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(root, path)
		found[filepath.ToSlash(inside)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// read is one file of the tree.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
