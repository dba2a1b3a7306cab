package rules_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A file that has grown beyond this has two subjects.
const (
	mostLines     = 320
	mostTestLines = 400
)

// goFiles are ours by path, with the paths in order.
func goFiles(t *testing.T) (sorted []string, texts map[string]string) {
	t.Helper()
	texts = files(t)
	maps.DeleteFunc(texts, func(name, _ string) bool { return path.Ext(name) != ".go" })
	return slices.Sorted(maps.Keys(texts)), texts
}

func TestFilesAreShort(t *testing.T) {
	t.Parallel()
	sorted, texts := goFiles(t)
	for _, name := range sorted {
		most := mostLines
		if strings.HasSuffix(name, "_test.go") || isTestSupport(name) {
			most = mostTestLines
		}
		if lines := strings.Count(texts[name], "\n"); lines > most {
			t.Errorf("%s has %d lines, over %d: it has two subjects", name, lines, most)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	files(t)
	for _, p := range listOurs(t) {
		begins := "Package " + p.Name + " "
		if p.Name == "main" {
			begins = "Command " + path.Base(p.ImportPath) + " "
		}
		if len(p.GoFiles) > 0 && !strings.HasPrefix(p.Doc, begins) {
			t.Errorf("the doc comment of %s must begin with %q; it is %q", short(p.ImportPath), begins, p.Doc)
		}
	}
}

func TestOneFileOfAPackageHasItsDoc(t *testing.T) {
	t.Parallel()
	sorted, texts := goFiles(t)
	docs := map[string][]string{}
	for _, name := range sorted {
		if parsed := parse(t, name, texts[name]); parsed.Doc != nil && !strings.HasSuffix(name, "_test.go") {
			docs[path.Dir(name)] = append(docs[path.Dir(name)], name)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(docs)) {
		if len(docs[dir]) > 1 {
			t.Errorf("%s has its doc comment in pieces: %s", dir, strings.Join(docs[dir], ", "))
		}
	}
}

// No package of ours should be called for what is put into it by accident.
func TestPackagesAreNamedForWhatTheyKnow(t *testing.T) {
	t.Parallel()
	files(t)
	empty := regexp.MustCompile(`^(utils?|common|helpers?|misc|shared|base|types|models?|interfaces|lib)$`)
	for _, p := range listOurs(t) {
		if name := path.Base(p.ImportPath); empty.MatchString(name) {
			t.Errorf("%s: %q says nothing", short(p.ImportPath), name)
		}
	}
}

// variables are the package-level ones that are neither an error, an embedded
// file, a compiled pattern, the bytes of a literal nor a proof that a type has its methods. Each is a
// constant that Go cannot write as one.
var variables = map[string]string{
	"publisher.refusals": "a table of constants",
	"sandbox.durations":  "a decoder's option, only ever read",

	"internal/build.version":  "the linker writes it",
	"internal/build.revision": "the linker writes it",
}

func TestPackagesHoldNoState(t *testing.T) {
	t.Parallel()
	sorted, texts := goFiles(t)
	seen := map[string]bool{}
	for _, name := range sorted {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, declaration := range parse(t, name, texts[name]).Decls {
			switch declaration := declaration.(type) {
			case *ast.FuncDecl:
				if declaration.Name.Name == "init" && declaration.Recv == nil {
					t.Errorf("%s: func init runs unasked: let who needs it call it", name)
				}
			case *ast.GenDecl:
				for _, variable := range mutable(declaration) {
					key := path.Dir(name) + "." + variable
					if variables[key] == "" {
						t.Errorf("%s: variable %s belongs to the package: put it into a value, or say in internal/rules why not", name, variable)
					}
					seen[key] = true
				}
			}
		}
	}
	for key := range variables {
		if !seen[key] {
			t.Errorf("%s is excused and does not exist", key)
		}
	}
}

// mutable lists the variables of a declaration that need an excuse.
func mutable(declaration *ast.GenDecl) []string {
	if declaration.Tok != token.VAR || declaration.Doc != nil && hasDirective(declaration.Doc, "//go:embed") {
		return nil
	}
	var names []string
	for _, spec := range declaration.Specs {
		spec := spec.(*ast.ValueSpec)
		for i, name := range spec.Names {
			constant := name.Name == "_" || spec.Doc != nil && hasDirective(spec.Doc, "//go:embed") ||
				len(spec.Values) > i && isConstant(spec.Values[i])
			if !constant {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

func hasDirective(doc *ast.CommentGroup, directive string) bool {
	return slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, directive) })
}

// isConstant knows the calls that make what nobody changes, and the bytes of a
// literal.
func isConstant(value ast.Expr) bool {
	call, ok := value.(*ast.CallExpr)
	if !ok {
		return false
	}
	if _, ok := call.Fun.(*ast.ArrayType); ok {
		_, literal := call.Args[0].(*ast.BasicLit)
		return literal
	}
	of, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	in, ok := of.X.(*ast.Ident)
	return ok && slices.Contains([]string{"errors.New", "fmt.Errorf", "regexp.MustCompile", "template.Must"}, in.Name+"."+of.Sel.Name)
}

func parse(t *testing.T, name, text string) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestNoTestIsSkipped(t *testing.T) {
	t.Parallel()
	sorted, texts := goFiles(t)
	skips := regexp.MustCompile(`\b[tbf]\.Skip(f|Now)?\(`)
	for _, name := range sorted {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		for number, line := range strings.Split(texts[name], "\n") {
			if skips.MatchString(line) {
				t.Errorf("%s:%d: a test that is skipped passes by not running", name, number+1)
			}
		}
	}
}

// What only makes sense on the machine where it was written.
func TestNoPathOfSomebodysMachine(t *testing.T) {
	t.Parallel()
	local := regexp.MustCompile(`(^|[\s"'=(])/(home|Users|root|work|tmp)/\w|[A-Z]:\\Users`)
	texts := files(t)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		for number, line := range strings.Split(texts[name], "\n") {
			if local.MatchString(line) {
				t.Errorf("%s:%d: a path of one machine: %s", name, number+1, strings.TrimSpace(line))
			}
		}
	}
}
