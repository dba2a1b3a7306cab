package replay

import (
	"slices"
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// Only deliveries are good, whatever a provider's words end in.
func TestLines(t *testing.T) {
	t.Parallel()
	var example Examples
	example[Unconfirmed] = "message too large"
	of := GroupReport{Key: dlq.Key{Provider: "courier"}, Delivered: 7, Died: 12, DiedOf: "http_400: it could not be delivered", Erased: 1, Waiting: 2,
		Already: 3, Gone: 4, Left: map[Why]int{Unconfirmed: 5}, Example: example}
	all := []Line{{true, "7 delivered"}, {false, "12 died again: http_400: it could not be delivered"}, {false, "1 erased meanwhile"},
		{false, "2 wait in the stream and go on without us"}, {false, "3 replayed by another run, or by one that was cut off"},
		{false, "4 removed by somebody else"}, {false, "5 left: the broker did not take the replay (message too large)"}}
	if got := of.Lines(Why.String); !slices.Equal(got, all) {
		t.Errorf("%+v", got)
	}
	of.Trial = Failed // whose words have the deaths
	if got := of.Lines(Why.String); !slices.Equal(got, slices.Delete(all, 1, 2)) {
		t.Errorf("%+v", got)
	}
}
