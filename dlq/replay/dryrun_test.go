package replay

import (
	"context"
	"maps"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// Of one group letters may die of different things: each code has its own reason.
func TestDryRunTellsTheReasonOfEachCode(t *testing.T) {
	t.Parallel()
	js := brokertest.New(t).JS
	declare(t, js, "ann", "bob", "cyd", "dan")
	letters, err := dlq.Open(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Prepare(t.Context(), js, letters, Options{Stale: true})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(_ context.Context, events []*event.Event) ([]Answer, error) {
		of := map[string]Answer{"ann": {"530", "no such object"}, "bob": {"531", "invalid token"}, "cyd": {"530", "no such object"}}
		var answers []Answer
		for _, ev := range events {
			answers = append(answers, of[ev.Token])
		}
		return answers, nil
	}
	groups, err := plan.DryRun(t.Context(), map[string]Ask{event.Courier: ask}, func(int) {})
	if err != nil || len(groups) != 1 {
		t.Fatalf("%+v, %v", groups, err)
	}
	g := groups[0]
	if g.Asked != 4 || g.Passes != 1 || !maps.Equal(g.Dies, map[string]int{"530": 2, "531": 1}) ||
		!maps.Equal(g.DiesOf, map[string]string{"530": "no such object", "531": "invalid token"}) {
		t.Errorf("%+v", g)
	}
}
