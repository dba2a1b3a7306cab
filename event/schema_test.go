package event_test

import (
	"bytes"
	stdjson "encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tokenrelay/tokenrelay/event"
)

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(event.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("event.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("event.json") // checked against the metaschema, too
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// The schema accepts a message exactly when no provider calls it an invalid
// event, except where a schema cannot follow.
func TestSchemaAgreesWithCode(t *testing.T) {
	t.Parallel()
	schema := compile(t)
	for _, group := range [][]testcase{fieldCases(), addressCases(), jsonCases(), {{name: "full", message: full, clevertap: deliver, courier: deliver}}} {
		for _, c := range group {
			if c.beyond {
				continue
			}
			instance, err := jsonschema.UnmarshalJSON(strings.NewReader(c.message))
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			outcomes := []string{deliver, skip}
			want := slices.Contains(outcomes, c.clevertap) && slices.Contains(outcomes, c.courier)
			if err := schema.Validate(instance); (err == nil) != want {
				t.Errorf("%s: schema says %v; valid should be %v", c.name, err, want)
			}
		}
	}
}

type schemaNode struct {
	Description string                `json:"description"`
	Type        stdjson.RawMessage    `json:"type"`
	Properties  map[string]schemaNode `json:"properties"`
	Enum        []any                 `json:"enum"`
	Items       *schemaNode           `json:"items"`
}

// The schema and the Go type have the same fields, of the same types.
func TestSchemaEqualsType(t *testing.T) {
	t.Parallel()
	var root schemaNode
	if err := stdjson.Unmarshal(event.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	sameFields(t, "", reflect.TypeFor[event.Event](), root)
}

func sameFields(t *testing.T, path string, typ reflect.Type, node schemaNode) {
	t.Helper()
	seen := map[string]bool{}
	for f := range typ.Fields() {
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		seen[name] = true
		child, ok := node.Properties[name]
		if !ok {
			t.Errorf("%s%s: in the type, not in the schema", path, name)
			continue
		}
		if child.Description == "" {
			t.Errorf("%s%s: no description", path, name)
		}
		want := map[reflect.Type]string{
			reflect.TypeFor[string]():          `["string","null"]`,
			reflect.TypeFor[[]string]():        `["array","null"]`,
			reflect.TypeFor[*event.Keys]():     `["object","null"]`,
			reflect.TypeFor[*event.Device]():   `["object","null"]`,
			reflect.TypeFor[*event.Tracking](): `["object","null"]`,
		}[f.Type]
		switch name { // where the type alone says too little
		case "token":
			want = `"string"`
		case "type":
			want = ``
		case "properties":
			want = `["object","null"]`
		case "expiry_date":
			want = `["string","boolean","null"]`
		}
		if got := strings.ReplaceAll(string(child.Type), " ", ""); got != want {
			t.Errorf("%s%s: type %s in the schema; want %s", path, name, got, want)
		}
		if f.Type.Kind() == reflect.Pointer {
			sameFields(t, path+name+".", f.Type.Elem(), child)
		}
	}
	for name := range node.Properties {
		if !seen[name] {
			t.Errorf("%s%s: in the schema, not in the type", path, name)
		}
	}
}

func TestSchemaWords(t *testing.T) {
	t.Parallel()
	var root schemaNode
	if err := stdjson.Unmarshal(event.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	words := func(list []string, more ...any) []any {
		var all []any
		for _, w := range list {
			all = append(all, w)
		}
		return append(all, more...)
	}
	if got, want := root.Properties["type"].Enum, words(event.Types(), nil); !reflect.DeepEqual(got, want) {
		t.Errorf("types %v; want %v", got, want)
	}
	if got, want := root.Properties["destinations"].Items.Enum, words(event.Providers()); !reflect.DeepEqual(got, want) {
		t.Errorf("destinations %v; want %v", got, want)
	}
}

func TestSchemaIsACopy(t *testing.T) {
	t.Parallel()
	event.Schema()[0] = 'x'
	if !jsontext.Value(event.Schema()).IsValid() {
		t.Error("a caller can change the schema of others")
	}
}
