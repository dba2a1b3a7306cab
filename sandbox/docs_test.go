package sandbox_test

import (
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/sandbox"
)

// The manual's examples are those of this package, and its tables are whole.

func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/sandbox.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func blocks(t *testing.T, language string) []string {
	t.Helper()
	var found []string
	for _, match := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(manual(t), -1) {
		found = append(found, match[1])
	}
	if len(found) == 0 {
		t.Fatalf("the manual has no %s", language)
	}
	return found
}

func TestManualShowsTheExamples(t *testing.T) {
	t.Parallel()
	examples, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks(t, "go") {
		if !strings.Contains(string(examples), block) {
			t.Errorf("no example holds this:\n%s", block)
		}
	}
}

func TestManualsRulesAreRules(t *testing.T) {
	t.Parallel()
	for _, block := range blocks(t, "json") {
		if _, err := sandbox.ParseRules([]byte(block)); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}

func TestManualNamesEveryField(t *testing.T) {
	t.Parallel()
	text := manual(t)
	names := make([]string, 0, 64)
	for _, of := range []reflect.Type{reflect.TypeFor[sandbox.Rule](), reflect.TypeFor[sandbox.Match](), reflect.TypeFor[sandbox.ProviderReport]()} {
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			names = append(names, name)
		}
	}
	for _, effect := range sandbox.Effects() {
		names = append(names, string(effect))
	}
	for _, name := range names {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("the manual lacks `%s`", name)
		}
	}
}

func TestManualsRequestsAreAnswered(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile("`([A-Z]+) (/sandbox/[a-z]+)").FindAllStringSubmatch(manual(t), -1)
	if len(found) < 9 {
		t.Fatalf("the manual has only %d requests", len(found))
	}
	w := start(t, sandbox.Settings{})
	for _, request := range found {
		body := map[string]string{"/sandbox/rules": "[]", "/sandbox/credentials": `{"courier_api_key":"another"}`}[request[2]]
		if r := w.control(request[1], request[2]+"?provider=courier", body); r.status >= http.StatusBadRequest {
			t.Errorf("%s %s: got %d %s", request[1], request[2], r.status, r.body)
		}
	}
}
