package event_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
)

// The lists have every field of the type, in its order.
func TestFieldsEqualType(t *testing.T) {
	t.Parallel()
	top := reflect.TypeFor[event.Event]()
	if got, want := event.Fields(), jsonNames(top); !slices.Equal(got, want) {
		t.Errorf("fields %q, want %q", got, want)
	}
	groups := 0
	for f := range top.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		var want []string
		if f.Type.Kind() == reflect.Pointer {
			groups++
			want = jsonNames(f.Type.Elem())
		}
		if got := event.Members(name); !slices.Equal(got, want) {
			t.Errorf("members of %q: %q, want %q", name, got, want)
		}
	}
	if groups != 3 {
		t.Errorf("%d groups", groups)
	}
}

// jsonNames lists the names that a type's exported fields have in JSON.
func jsonNames(typ reflect.Type) (names []string) {
	for f := range typ.Fields() {
		if f.IsExported() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(names, name)
		}
	}
	return names
}
