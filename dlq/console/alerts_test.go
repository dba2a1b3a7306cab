package console

import (
	"strings"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/flow"
)

// An alert that no worker serves a provider is believed at night, so it must
// be true: workers that nobody may hear work all the same.
func TestNobodyServes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*flow.Snapshot, *flow.Provider)
		alert  bool
		status string
		heard  string // of why figures are not known; empty: they are
	}{
		"nobody asks for what waits":        {func(*flow.Snapshot, *flow.Provider) {}, true, "no worker", ""},
		"one announces itself":              {func(_ *flow.Snapshot, p *flow.Provider) { p.Pods = 1 }, false, "events wait", ""},
		"one asks and may not announce":     {func(_ *flow.Snapshot, p *flow.Provider) { p.Served = true }, false, "served", "may not publish on `tokenrelay.figures`"},
		"one asks and we may not listen":    {func(s *flow.Snapshot, p *flow.Provider) { s.Deaf, p.Served = true, true }, false, "served", "may not subscribe to `tokenrelay.figures`"},
		"nobody asks and we may not listen": {func(s *flow.Snapshot, _ *flow.Provider) { s.Deaf = true }, true, "no worker", "may not subscribe to `tokenrelay.figures`"},
		"a dead one's permit":               {func(_ *flow.Snapshot, p *flow.Provider) { p.Permits = []flow.Permit{{Holder: "pod"}} }, true, "no worker", ""},
		"nothing waits":                     {func(_ *flow.Snapshot, p *flow.Provider) { p.Waiting = 0 }, false, "no worker", ""},
		"what waits is not known":           {func(_ *flow.Snapshot, p *flow.Provider) { p.Known = false }, false, "no worker", ""},
		"the broker is away":                {func(s *flow.Snapshot, _ *flow.Provider) { s.Away = "NATS is away" }, false, "no worker", ""},
		"we have just begun":                {func(s *flow.Snapshot, p *flow.Provider) { s.Since, p.Served = now, true }, false, "served", ""},
		"all wait in a hold":                {func(_ *flow.Snapshot, p *flow.Provider) { p.Hold = &flow.Hold{Until: now.Add(time.Second)} }, false, "held", ""},
		"its next try is made":              {func(_ *flow.Snapshot, p *flow.Provider) { p.Hold = &flow.Hold{Until: now.Add(-10 * time.Second)} }, false, "held", ""},
		"nobody makes its next try":         {func(_ *flow.Snapshot, p *flow.Provider) { p.Hold = &flow.Hold{Until: now.Add(-time.Hour)} }, true, "held", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := flow.Snapshot{At: now, Since: now.Add(-time.Hour)}, flow.Provider{Name: event.CleverTap, Known: true, Waiting: 5}
			c.change(&s, &p)
			s.Providers = []flow.Provider{p}
			alerted := false
			for _, a := range alerts(s) {
				alerted = alerted || a.ID == "nobody-clevertap" && strings.Contains(a.Text, "Start `worker run`")
			}
			if alerted != c.alert {
				t.Errorf("the alert: %t, want %t", alerted, c.alert)
			}
			if status, _ := statusOf(p); status != c.status {
				t.Errorf("status %q, want %q", status, c.status)
			}
			if why := unheard(s, p); !strings.Contains(why, c.heard) || (why == "") != (c.heard == "") {
				t.Errorf("why figures are not known: %q, want %q", why, c.heard)
			}
		})
	}
}
