package replay

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenrelay/tokenrelay/event"
)

func TestNewer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b moment
		want bool
	}{
		"the app says so":                     {moment{registered: 2, position: 1, placed: true}, moment{registered: 1, position: 9, placed: true}, true},
		"the app says no":                     {moment{registered: 1, position: 9, placed: true}, moment{registered: 2, position: 1, placed: true}, false},
		"registered at the same time":         {moment{registered: 1, position: 9, placed: true}, moment{registered: 1, position: 1, placed: true}, false},
		"only one says, so its place":         {moment{registered: 1, position: 9, placed: true}, moment{position: 1, placed: true}, true},
		"stored later":                        {moment{position: 9, placed: true}, moment{position: 1, placed: true}, true},
		"stored earlier":                      {moment{position: 1, placed: true}, moment{position: 9, placed: true}, false},
		"of a stream that was made anew":      {moment{position: 1, placed: true}, moment{position: 0, placed: true}, true},
		"a letter without a place, later":     {moment{position: 1, placed: true, at: 9}, moment{at: 5}, true},
		"a letter without a place, earlier":   {moment{position: 1, placed: true, at: 4}, moment{at: 5}, false},
		"the event itself":                    {moment{position: 3, placed: true, at: 4}, moment{position: 3, placed: true, at: 4}, false},
		"the event itself, which said when":   {moment{registered: 1, position: 3, placed: true}, moment{registered: 1, position: 3, placed: true}, false},
		"a replay, standing where it came in": {moment{position: 3, placed: true, at: 99}, moment{position: 5, placed: true, at: 7}, false},
	} {
		if got := c.a.newer(c.b); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Of two events never both are the newer one.
func TestNewerGoesOneWay(t *testing.T) {
	t.Parallel()
	draw := rapid.Custom(func(r *rapid.T) moment {
		n := rapid.IntRange(0, 3)
		return moment{int64(n.Draw(r, "registered")), uint64(n.Draw(r, "position")), rapid.Bool().Draw(r, "placed"), int64(n.Draw(r, "at"))}
	})
	rapid.Check(t, func(r *rapid.T) {
		a, b := draw.Draw(r, "a"), draw.Draw(r, "b")
		if a.newer(b) && b.newer(a) || a.newer(a) {
			r.Fatalf("%+v and %+v", a, b)
		}
	})
}

func TestPlaceOf(t *testing.T) {
	t.Parallel()
	created := time.Unix(0, 1772366400000000000)
	for id, want := range map[string]string{
		"clevertap:1772366400000000000:17": "17 true",
		"courier:1700000000000000000:17":   "0 true",
		"letter:17":                        "0 false",
		"":                                 "0 false",
		"a:b:c":                            "0 false",
		"a:1:c":                            "0 false",
		"a:1:2:3":                          "0 false",
	} {
		position, known := placeOf(id, created)
		if got := fmt.Sprint(position, known); got != want {
			t.Errorf("%q: %s, want %s", id, got, want)
		}
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	base := func(change func(*event.Event)) event.Event {
		e := event.Event{UserID: "u", ObjectID: "o", Type: "fcm", Token: "t"}
		change(&e)
		return e
	}
	same := base(func(*event.Event) {})
	for name, c := range map[string]struct {
		e                  event.Event
		clevertap, courier bool // the same identity as before
	}{
		"another token":                 {base(func(e *event.Event) { e.Token = "x" }), true, true},
		"another user":                  {base(func(e *event.Event) { e.UserID = "x" }), true, false},
		"another object":                {base(func(e *event.Event) { e.ObjectID = "x" }), false, true},
		"another type":                  {base(func(e *event.Event) { e.Type = "apns" }), false, false},
		"a type that is Courier's same": {base(func(e *event.Event) { e.Type = "gcm" }), false, true},
		"another device":                {base(func(e *event.Event) { e.Device = &event.Device{DeviceID: "d"} }), false, false},
		"a device without name":         {base(func(e *event.Event) { e.Device = &event.Device{Platform: "ios"} }), true, true},
	} {
		if got := identity(event.CleverTap, &c.e) == identity(event.CleverTap, &same); got != c.clevertap {
			t.Errorf("%s: CleverTap %v", name, got)
		}
		if got := identity(event.Courier, &c.e) == identity(event.Courier, &same); got != c.courier {
			t.Errorf("%s: Courier %v", name, got)
		}
	}
	nobody := event.Event{Token: "t"}
	if identity(event.CleverTap, &nobody) != "" || identity(event.CleverTap, &same) == identity(event.Courier, &same) {
		t.Error("nobody is nobody, and providers are apart")
	}
}
