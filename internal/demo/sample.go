package demo

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// sample is one message of the load, and what must become of it.
type sample struct {
	event event.Event
	raw   []byte // instead of the event: what no event is
}

// garbage tells what our publisher would refuse.
func (s sample) garbage() bool { return s.raw != nil }

// SampleRules are the sandbox's faults of the demo: as slow as a provider
// nearby, and a few tokens refused.
func SampleRules() []sandbox.Rule {
	return []sandbox.Rule{
		{Name: "clevertap latency", Provider: sandbox.CleverTap, Effect: sandbox.Latency, Delay: cleverTapLatency, DelayMax: cleverTapLatency * 3 / 2},
		{Name: "courier latency", Provider: sandbox.Courier, Effect: sandbox.Latency, Delay: courierLatency, DelayMax: courierLatency * 2},
		{Name: "stale tokens", Provider: sandbox.CleverTap, Effect: sandbox.Refuse, Code: "531", Share: 0.02, Salt: "stale"},
		{Name: "wrong platform", Provider: sandbox.CleverTap, Effect: sandbox.Refuse, Code: "534", Share: 0.01, Salt: "platform"},
		{Name: "unknown users", Provider: sandbox.Courier, Effect: sandbox.Refuse, Code: "400", Share: 0.01, Salt: "users"},
	}
}

// trash is what turns up on a subject that everybody may publish to.
func trash() [][]byte {
	return [][]byte{
		[]byte("not json"),
		[]byte(`["an","array"]`),
		{},
		{0, 1, 2, 0xff, 0xfe},
		[]byte(`{"user_id":"u","object_id":"o","token":"..","type":"fcm"}`),
		[]byte(`{"user_id":"u","object_id":"o","token":"t","type":"carrier-pigeon"}`),
		[]byte(`{"user_id":"u","token":"t","token":"t","type":"fcm"}`),
		[]byte(`{"user_id":"u","token":12,"type":"fcm"}`),
		[]byte(`{"token":"t","type":"fcm"}`),
	}
}

// samples is a mixed load of n messages, the same for the same seed: most for
// both providers, some for one, some that Courier has no use for, one in two
// hundred garbage.
func samples(n int, seed uint64) func(yield func(sample) bool) {
	return func(yield func(sample) bool) {
		random := rand.New(rand.NewPCG(seed, 0))
		bad := trash()
		for i := range n {
			if i%200 == 199 {
				if !yield(sample{raw: bad[i/200%len(bad)]}) {
					return
				}
				continue
			}
			if !yield(sample{event: registration(i, random)}) {
				return
			}
		}
	}
}

func registration(i int, random *rand.Rand) event.Event {
	user := fmt.Sprintf("user-%06d", i)
	ev := event.Event{
		UserID: user, ObjectID: fmt.Sprintf("__g%032x", random.Uint64()),
		Token: fmt.Sprintf("%011x:APA91b%040x%032x", i, random.Uint64(), random.Uint64()), Type: "fcm",
		RegisteredAt: time.Now().UTC().Format(time.RFC3339Nano),
	}
	switch kind := random.IntN(100); {
	case kind < 20:
		ev.Type, ev.ObjectID = "apns", fmt.Sprintf("-g%032x", random.Uint64())
		ev.Device = &event.Device{Platform: "ios", Manufacturer: "Apple", Model: "iPhone 13"}
	case kind < 30:
		ev.ObjectID = ""
	case kind < 40:
		ev.UserID = ""
	case kind < 45:
		ev.Type, ev.ObjectID = "wns", fmt.Sprintf("~%032x", random.Uint64()) // Courier has no provider key for it: skipped there
	case kind < 50:
		ev.Destinations = []string{event.CleverTap}
	}
	return ev
}
