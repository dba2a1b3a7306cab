package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
)

// Every series is there from the start, so that a rate begins at zero and an
// alarm never waits for its first sample.
func TestSeriesExistFromTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start()
	var want []string
	for _, provider := range event.Providers() {
		by := func(name, label string, values ...string) {
			for _, value := range values {
				labels := []string{fmt.Sprintf("provider=%q", provider), fmt.Sprintf("%s=%q", label, value)}
				if label < "provider" {
					labels[0], labels[1] = labels[1], labels[0]
				}
				want = append(want, name+"{"+strings.Join(labels, ",")+"}")
			}
		}
		by("events_total", "outcome", "delivered", "dead", "skipped", "erased")
		by("dead_events_total", "code", "530", "531", "532", "533", "534", "535", "555", "http_400", "http_404", "http_409", "http_500",
			"invalid_event", "ambiguous_response", "internal_error", "expired", "other")
		by("calls_total", "result", "ok", "partial", "refused", "throttled", "unauthorized", "unavailable", "misconfigured", "ambiguous")
		by("batch_flushes_total", "trigger", "count", "age", "drain", "probe", "split")
		by("delivery_latency_seconds_count", "source", "live", "replay")
		by("holds_total", "reason", "throttled", "unauthorized", "unavailable", "misconfigured")
		by("provider_held", "reason", "throttled", "unauthorized", "unavailable", "misconfigured")
		for _, name := range []string{"call_duration_seconds_count", "batch_records_count", "open_calls", "permits_held", "permits_cap",
			"redeliveries_total", "letter_put_failures_total"} {
			want = append(want, fmt.Sprintf("%s{provider=%q}", name, provider))
		}
	}
	want = append(want, "reconnects_total")
	have := p.metrics()
	for _, series := range want {
		if value, ok := have[series]; !ok {
			t.Errorf("no series %s", series)
		} else if value != 0 && !strings.HasPrefix(series, "permits_") {
			t.Errorf("%s is %v at the start", series, value)
		}
	}
	for _, name := range []string{"pending_events", "oldest_pending_seconds", "events_max_age_seconds", "letters", "oldest_letter_seconds", "letters_max_age_seconds"} {
		for _, provider := range event.Providers() {
			eventually(t, name+" of the fleet is there", func() bool {
				_, ok := p.metrics()[fmt.Sprintf("%s{provider=%q}", name, provider)]
				return ok
			})
		}
	}
	if clevertap, courier := have.of(t, "permits_cap", event.CleverTap), have.of(t, "permits_cap", event.Courier); clevertap != 3 || courier != 0 {
		t.Errorf("the caps are %v and %v, want 3 and none", clevertap, courier)
	}
	build := 0
	for series := range have {
		if strings.HasPrefix(series, "build_info{") {
			build++
		}
	}
	if build != 1 {
		t.Errorf("%d series of build_info, want one", build)
	}
}

// The books: each event ends in one outcome at each provider, whatever it is,
// and no new series appears on the way.
func TestOutcomesAddUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "CLEVERTAP_BATCH_SIZE=7")
	w.refuse()
	p := w.start()
	before := p.metrics().names()
	published := 0
	put := func(bodies ...string) { published += len(bodies); w.put(bodies...) }
	put(registrations(0, 50)...)
	put(registrationOf("bad-1"), registrationOf("bad-2"), "not json", `{"token":"t"}`)
	put(`{"user_id":"only-courier","token":"c","type":"fcm"}`, `{"object_id":"only-clevertap","token":"d","type":"fcm"}`,
		`{"user_id":"u","object_id":"o","token":"e","type":"wns"}`)
	w.settled()
	m := p.metrics()
	for _, provider := range event.Providers() {
		sum := 0.0
		for _, outcome := range []string{"delivered", "dead", "skipped", "erased"} {
			sum += m.of(t, "events_total", provider, fmt.Sprintf("outcome=%q", outcome))
		}
		if int(sum) != published {
			t.Errorf("%s: outcomes add up to %v, published were %d", provider, sum, published)
		}
		dead := m.of(t, "events_total", provider, `outcome="dead"`)
		if letters := len(w.letters(provider)); int(dead) != letters {
			t.Errorf("%s: %v dead and %d letters", provider, dead, letters)
		}
		if delivered := m.of(t, "events_total", provider, `outcome="delivered"`); int(delivered) != w.report(provider).Accepted {
			t.Errorf("%s: %v delivered and %d accepted", provider, delivered, w.report(provider).Accepted)
		}
		eventually(t, "the fleet's figures know the letters", func() bool {
			now := p.metrics()
			return now.of(t, "letters", provider) == dead && now.of(t, "oldest_letter_seconds", provider) > 0 &&
				now.of(t, "letters_max_age_seconds", provider) == consumer.DefaultLettersMaxAge.Seconds() &&
				now.of(t, "events_max_age_seconds", provider) == consumer.DefaultMaxAge.Seconds()
		})
		if n := m.of(t, "delivery_latency_seconds_count", provider, `source="live"`); n != m.of(t, "events_total", provider, `outcome="delivered"`) {
			t.Errorf("%s: %v latencies", provider, n)
		}
		calls := 0.0
		for _, result := range []string{"ok", "partial", "refused"} {
			calls += m.of(t, "calls_total", provider, fmt.Sprintf("result=%q", result))
		}
		if int(calls) != w.report(provider).Calls {
			t.Errorf("%s: %v calls counted, the sandbox saw %d", provider, calls, w.report(provider).Calls)
		}
		if records := m.of(t, "batch_records_sum", provider); int(records) != w.report(provider).Records {
			t.Errorf("%s: %v records counted, the sandbox saw %d", provider, records, w.report(provider).Records)
		}
	}
	for series := range m.names() {
		if !before[series] &&
			!strings.HasPrefix(series, "go_") && !strings.HasPrefix(series, "process_") && !strings.HasPrefix(series, "promhttp_") {
			t.Errorf("a new series: %s", series)
		}
	}
}
