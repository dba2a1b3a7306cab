package helm_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/tokenrelay/tokenrelay/deploy/helm"
	"github.com/tokenrelay/tokenrelay/internal/config"
)

// update is `make chart`: it writes what these tests compare.
var update = flag.Bool("update", false, "write the copies that the chart has of other files")

// kept is a file that must have this text.
func kept(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("deploy/helm/%s is out of date: run make chart", file)
	}
}

// A chart can only read files of its own.
func TestRulesAreThoseOfTheObservers(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile("../observe/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kept(t, "tokenrelay/files/rules.yaml", rules)
}

const (
	tableBegins = "<!-- values: written by make chart -->\n"
	tableEnds   = "<!-- end of the values -->\n"
)

func TestReadmeHasEveryValue(t *testing.T) {
	t.Parallel()
	const file = "tokenrelay/README.md"
	readme, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(readme), tableBegins)
	_, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		t.Fatalf("%s has no room for the table of values", file)
	}
	kept(t, file, []byte(before+tableBegins+table(t)+tableEnds+after))
}

// value is one of values.yaml that has its comment.
type value struct{ name, given, said string }

// documented are the values of the chart in their order. What has no comment
// is a part of what has one.
func documented(t *testing.T) []value {
	t.Helper()
	text, err := helm.Files.ReadFile("tokenrelay/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document yamlv3.Node
	if err := yamlv3.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	var list []value
	var read func(node *yamlv3.Node, path string)
	read = func(node *yamlv3.Node, path string) {
		for i := 0; i < len(node.Content); i += 2 {
			key, given := node.Content[i], node.Content[i+1]
			name := strings.TrimPrefix(path+"."+key.Value, ".")
			said, isTold := told(key.HeadComment)
			switch {
			case isTold:
				list = append(list, value{name, shown(t, given), said})
			case given.Kind == yamlv3.MappingNode && len(given.Content) > 0:
				read(given, name)
			default:
				t.Errorf("values.yaml does not say what %s is for", name)
			}
		}
	}
	read(document.Content[0], "")
	return list
}

// table is a row for each value of the chart.
func table(t *testing.T) string {
	t.Helper()
	var rows strings.Builder
	rows.WriteString("| value | default | |\n|---|---|---|\n")
	for _, v := range documented(t) {
		fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", v.name, v.given, strings.ReplaceAll(v.said, "|", `\|`))
	}
	return rows.String()
}

// told is what a comment says to users of the chart.
func told(comment string) (string, bool) {
	for line := range strings.SplitSeq(comment, "\n") {
		if said, ok := strings.CutPrefix(line, "# -- "); ok {
			return said, true
		}
	}
	return "", false
}

// shown is a default in a table's cell: a text as it is, else JSON.
func shown(t *testing.T, value *yamlv3.Node) string {
	t.Helper()
	if value.Kind == yamlv3.ScalarNode && value.Value == "" {
		return ""
	}
	if value.Kind == yamlv3.ScalarNode {
		return "`" + value.Value + "`"
	}
	text, err := yamlv3.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	inJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	return "`" + string(inJSON) + "`"
}

// The chart takes what the command takes, and refuses what that refuses, as
// far as one value tells by itself.
func TestConfigIsTheCommands(t *testing.T) {
	t.Parallel()
	defaults := struct{ Config map[string]any }{}
	text, err := helm.Files.ReadFile("tokenrelay/values.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &defaults)
	}
	if err != nil {
		t.Fatal(err)
	}
	samples := []string{"0", "1", "3", "5", "6", "15", "16", "100", "101", "1024", "1025", "true", "false", "soon", "1m30s", "1.5h", "250ms", "-5s", "10", "us", "eu", "mec1", "info", "json",
		"courier", "clevertap,courier", "pidgeon", "https://example.com", "ftp://example.com", "https://me:hunter2@example.com", "example.com"}
	for _, v := range config.Variables(&commands{}) {
		given, ours := defaults.Config[v.Name]
		if !ours {
			continue
		}
		delete(defaults.Config, v.Name)
		// What the chart counts with it must know itself.
		if text := fmt.Sprint(given); text != "" && text != v.Default {
			t.Errorf("config.%s has the default %s, and the command has %s", v.Name, text, v.Default)
		}
		for _, sample := range samples {
			_, refusal := helm.Render("config: {" + v.Name + ": " + typed(sample) + "}")
			if takes := commandTakes(v.Name, sample); takes != (refusal == nil) && !onlyTheCommandKnows(sample) {
				t.Errorf("%s=%s: the command takes it: %t; the chart says %v", v.Name, sample, takes, refusal)
			}
		}
	}
	for _, of := range documented(t) {
		for _, v := range config.Variables(&commands{}) {
			if of.name == "config."+v.Name && of.given == "" && !strings.Contains(of.said, "`"+v.Default+"`") && v.Default != "" {
				t.Errorf("values.yaml does not say that %s is %s by default", v.Name, v.Default)
			}
		}
	}
	for name := range defaults.Config {
		t.Errorf("config.%s is no variable of the worker", name)
	}
}

// typed is a sample as a person writes it into a file of values.
func typed(sample string) string {
	if strings.ContainsAny(sample, ":,-") {
		return "'" + sample + "'"
	}
	return sample
}

// onlyTheCommandKnows tells limits of a duration: the schema knows its form.
func onlyTheCommandKnows(sample string) bool {
	return slices.Contains([]string{"1m30s", "1.5h", "250ms", "0"}, sample)
}

func commandTakes(variable, value string) bool {
	var complaints bytes.Buffer
	// Of the limits between two variables none is met.
	env := []string{"NATS_URL=nats://nats", "CLEVERTAP_ACCOUNT_ID=a", "CLEVERTAP_PASSCODE=p", "COURIER_API_KEY=k", "HOLD_MAX=24h", variable + "=" + value}
	_, code := config.Parse("worker", "", &commands{}, []string{"run"}, env, io.Discard, &complaints)
	return code == 0
}

func valuesOf(t *testing.T, text string) map[string]any {
	t.Helper()
	tree := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// without is a case less one of its values, and whether it had that.
func without(t *testing.T, values, name string) (string, bool) {
	t.Helper()
	tree := valuesOf(t, values)
	inner := tree
	path := strings.Split(name, ".")
	for _, key := range path[:len(path)-1] {
		inner, _ = inner[key].(map[string]any)
	}
	last := path[len(path)-1]
	if _, has := inner[last]; !has {
		return values, false
	}
	delete(inner, last)
	text, err := yaml.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), true
}

// A value that changes nothing is a promise that the chart does not keep.
func TestEveryValueDoesSomething(t *testing.T) {
	t.Parallel()
	full := map[string]*helm.Release{}
	for name, values := range cases(t) {
		release, err := helm.Render(values)
		if err != nil {
			t.Fatal(err)
		}
		full[name] = release
	}
	does := func(value string) bool {
		for name, values := range cases(t) {
			if less, has := without(t, values, value); has {
				// An error says that it is needed.
				if release, err := helm.Render(less); err != nil || !reflect.DeepEqual(full[name], release) {
					return true
				}
			}
		}
		return false
	}
	for _, v := range documented(t) {
		if !does(v.name) && !does(strings.Replace(v.name, "worker.", "courierWorker.", 1)) {
			t.Errorf("no case shows that %s does something", v.name)
		}
	}
}

// Who sets a value to null gets a sound release, or is told where.
func TestNoValueIsMissedUnheard(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"default", "everything"} {
		for _, v := range documented(t) {
			less, _ := without(t, cases(t)[name], v.name)
			release, err := helm.Render(less, at(v.name, "null"))
			if err != nil {
				if last := v.name[strings.LastIndex(v.name, ".")+1:]; !strings.Contains(err.Error(), last) || strings.Contains(err.Error(), "nil pointer") {
					t.Errorf("%s without %s: %v", name, v.name, err)
				}
				continue
			}
			for _, object := range release.Objects {
				if decode(t, object); bytes.Contains(object, []byte("<nil>")) || bytes.Contains(object, []byte(": null")) {
					t.Errorf("%s without %s:\n%s", name, v.name, object)
				}
			}
		}
	}
}
