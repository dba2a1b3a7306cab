package consumer

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestParseReply(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reply     string
		delivered int
		seq       uint64
		stored    int64
		ok        bool
	}{
		"short":               {"$JS.ACK.TOKENS.courier.2.17.9.1700000000000000001.5", 2, 17, 1700000000000000001, true},
		"long":                {"$JS.ACK._.hash.TOKENS.courier.2.17.9.1700000000000000001.5", 2, 17, 1700000000000000001, true},
		"long with a random":  {"$JS.ACK.hub.hash.TOKENS.courier.1.18446744073709.9.5.5.rnd", 1, 18446744073709, 5, true},
		"none":                {reply: ""},
		"an inbox":            {reply: "_INBOX.a.b.c.d.e.f.g.h"},
		"too short":           {reply: "$JS.ACK.TOKENS.courier.2.17.9.1"},
		"between the lengths": {reply: "$JS.ACK.hub.TOKENS.courier.2.17.9.1.5"},
		"no number":           {reply: "$JS.ACK.TOKENS.courier.2.x.9.1.5"},
		"negative":            {reply: "$JS.ACK.TOKENS.courier.2.-1.9.1.5"},
		"empty number":        {reply: "$JS.ACK.TOKENS.courier.2..9.1.5"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			delivered, seq, stored, err := parseReply(c.reply)
			if (err == nil) != c.ok || delivered != c.delivered || seq != c.seq || stored != c.stored {
				t.Errorf("delivered %d, seq %d, stored %d, error %v", delivered, seq, stored, err)
			}
		})
	}
}

func FuzzParseReply(f *testing.F) {
	f.Add("$JS.ACK.TOKENS.courier.2.17.9.1700000000000000001.5")
	f.Add("$JS.ACK._.hash.TOKENS.courier.2.17.9.1.5.x")
	f.Fuzz(func(t *testing.T, reply string) {
		if delivered, _, stored, err := parseReply(reply); err == nil && (delivered < 0 || stored < 0) {
			t.Errorf("delivered %d, stored %d", delivered, stored)
		}
	})
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.c", false}, {"a.b", "a", false}, {"a", "a.b", false},
		{"a.*", "a.b", true}, {"a.*", "a.*", true}, {"a.*", "a.b.c", false}, {"a.b", "a.*", false},
		{"a.>", "a.b.c", true}, {"a.>", "a.*.*", true}, {"a.>", "a.>", true}, {"a.>", "a", false}, {"a.*", "a.>", false}, {">", "a", true},
	} {
		if got := covers(c.a, c.b); got != c.want {
			t.Errorf("covers(%q, %q) is %v", c.a, c.b, got)
		}
	}
}

func TestFloorDecisions(t *testing.T) {
	t.Parallel()
	now := time.Now()
	earlier := now.Add(-time.Hour)
	for _, c := range []struct {
		next, old floor
		want      bool
	}{
		{floor{now, 5}, floor{}, true},
		{floor{now, 5}, floor{now, 4}, true},
		{floor{now, 5}, floor{now, 5}, false},
		{floor{now, 4}, floor{now, 5}, false},
		{floor{now, 0}, floor{earlier, 5}, true},
	} {
		if got := c.next.follows(c.old); got != c.want {
			t.Errorf("%v follows %v: %v", c.next, c.old, got)
		}
	}
}

func TestVersionFinding(t *testing.T) {
	t.Parallel()
	for version, ok := range map[string]bool{
		"2.12.0": true, "2.15.2": true, "3.0.0": true, "2.12.0-RC.1": true,
		"2.11.9": false, "1.99.0": false, "": false, "dev": false, "2": false,
	} {
		if got := versionFinding(version) == nil; got != ok {
			t.Errorf("%q is good enough: %v", version, got)
		}
	}
}

func TestKeepAliveTouchesWhatIsDue(t *testing.T) {
	t.Parallel()
	k := newKeepAlive()
	messages := make([]*Message, 3*touchBurst)
	touched := make(map[*Message]int)
	round := func(all bool) {
		k.round(all, func(m *Message) bool {
			touched[m]++
			return m != messages[2]
		})
	}
	for i := range messages {
		messages[i] = &Message{}
		k.add(messages[i])
	}
	round(false)
	if len(touched) != 0 {
		t.Fatalf("%d touched in their first tick", len(touched))
	}
	k.remove(messages[0])
	k.remove(messages[0])
	late := &Message{}
	k.add(late)
	round(false)
	if touched[messages[0]] != 0 || touched[late] != 0 || len(touched) != len(messages)-1 {
		t.Fatalf("%d touched, the removed one %d times, the late one %d times", len(touched), touched[messages[0]], touched[late])
	}
	k.remove(messages[2]) // not held any longer, by what touch said
	round(true)
	if touched[messages[2]] != 1 || touched[late] != 1 || touched[messages[1]] != 2 {
		t.Errorf("after a round of all: %d %d %d", touched[messages[2]], touched[late], touched[messages[1]])
	}
	if k.size() != len(messages)-1 {
		t.Errorf("%d held, want %d", k.size(), len(messages)-1)
	}
}

func BenchmarkKeepAlive(b *testing.B) {
	k := newKeepAlive()
	for range 10_000 {
		k.add(&Message{})
	}
	b.RunParallel(func(p *testing.PB) {
		m := &Message{}
		for p.Next() {
			k.add(m)
			k.remove(m)
		}
	})
}

func BenchmarkParseReply(b *testing.B) {
	for b.Loop() {
		if _, _, _, err := parseReply("$JS.ACK.TOKENS.clevertap.1.123456.123456.1700000000000000001.54321"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestClusterFindings(t *testing.T) {
	t.Parallel()
	in := func(cluster string, replicas int, stream string) *jetstream.StreamInfo {
		return &jetstream.StreamInfo{
			Config:  jetstream.StreamConfig{Name: stream, Replicas: replicas},
			Cluster: &jetstream.ClusterInfo{Name: cluster},
		}
	}
	for _, c := range []struct {
		info *jetstream.StreamInfo
		want []Severity
	}{
		{in("c", 1, EventsStream), []Severity{Warning}},
		{in("c", 3, EventsStream), nil},
		{in("c", 1, LettersStream), []Severity{Warning}},
		{in("c", 1, fleetStream), []Severity{Warning}},
		{in("", 1, EventsStream), []Severity{Note}},
		{in("", 1, LettersStream), nil},
		{&jetstream.StreamInfo{Config: jetstream.StreamConfig{Name: EventsStream, Replicas: 1}}, []Severity{Note}},
	} {
		var got []Severity
		for _, f := range clusterFindings(c.info) {
			got = append(got, f.Severity)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s with %d replicas: %v, want %v", c.info.Config.Name, c.info.Config.Replicas, got, c.want)
		}
	}
}

func TestReplicasAndAgesAreAppliedUpwards(t *testing.T) {
	t.Parallel()
	have := jetstream.StreamConfig{Name: EventsStream, Replicas: 3, MaxAge: 48 * time.Hour, Duplicates: time.Hour}
	age := func(d time.Duration) ageWish { return ageWish{"STREAM_MAX_AGE", d, true} }
	set := func(replicas int, provision, force bool) Topology {
		return Topology{Replicas: replicas, ReplicasSet: true, Provision: provision, Force: force}
	}
	for name, c := range map[string]struct {
		t              Topology
		age            ageWish
		replicas       int
		maxAge, window time.Duration
		changed        bool
		kept           int
	}{
		"nothing set":        {Topology{Replicas: 1, Provision: true}, ageWish{age: time.Hour}, 3, 48 * time.Hour, time.Hour, false, 0},
		"the same":           {set(3, true, false), age(48 * time.Hour), 3, 48 * time.Hour, time.Hour, false, 0},
		"upwards":            {set(5, true, false), age(72 * time.Hour), 5, 72 * time.Hour, time.Hour, true, 0},
		"unlimited":          {set(3, true, false), age(0), 3, 0, time.Hour, true, 0},
		"downwards":          {set(1, true, false), age(24 * time.Hour), 3, 48 * time.Hour, time.Hour, false, 2},
		"downwards by force": {set(1, true, true), age(30 * time.Minute), 1, 30 * time.Minute, 30 * time.Minute, true, 0},
		"up and down":        {set(5, true, false), age(24 * time.Hour), 5, 48 * time.Hour, time.Hour, true, 1},
		"only looking":       {set(5, false, true), age(72 * time.Hour), 3, 48 * time.Hour, time.Hour, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, changed, kept := c.t.apply(have, c.age)
			if next.Replicas != c.replicas || next.MaxAge != c.maxAge || next.Duplicates != c.window || changed != c.changed || len(kept) != c.kept {
				t.Errorf("%d replicas, max age %s, window %s, changed %v, kept %v", next.Replicas, next.MaxAge, next.Duplicates, changed, kept)
			}
		})
	}
}
