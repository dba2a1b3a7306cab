package console

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/flow"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

// overview is what overview.html shows: what must be known first stands first.
type overview struct {
	frame
	Since     time.Time
	Alerts    []alert
	Providers []providerView
	Jobs      []jobView
	Letters   counted
	Codes     []codeView
}

// alert is something that an operator must know, and what ends it.
type alert struct {
	ID, Title, Text string
	Provider        string     // that can be resumed; empty: none
	Hold            *flow.Hold // its hold
}

// providerView is the flow to one provider.
type providerView struct {
	flow.Provider
	Status, Tone    string
	Unheard         string // why what its workers count is not known; empty: it is
	Delivered, Dead plot
}

// codeView is what died of one code: what that means and what usually helps,
// told once for all its reasons.
type codeView struct {
	Provider, Code string
	dlq.Meaning
	Count   int
	Last    time.Time
	Share   int // of the most frequent code, in percent, at least 1
	Address string
	Reasons []groupView
}

// groupView is a group of letters and where to see them.
type groupView struct {
	dlq.Group
	dlq.Meaning
	Address string
}

// shownJobs is how many jobs the overview lists, beside all that are under way.
const shownJobs = 6

func (c *Console) overviewPage(w http.ResponseWriter, r *http.Request, s *session) {
	c.tally.fresh(r.Context())
	view := c.overview()
	view.frame = c.frame(s, "Flow and letters", "overview")
	view.Live, view.Refresh, view.Self = "/live?page=overview", 10, "/?"+byItself
	c.show(w, http.StatusOK, "overview", view)
}

// overview is the page's matter at this moment.
func (c *Console) overview() overview {
	now := c.flow.Now()
	view := overview{Since: now.Since, Alerts: alerts(now), Letters: c.tally.now(), Jobs: c.jobs.views()}
	open := 0
	for _, j := range view.Jobs {
		if !j.State.ended() {
			open++
		}
	}
	view.Jobs = view.Jobs[:min(len(view.Jobs), max(open, shownJobs))]
	for _, p := range now.Providers {
		status, tone := statusOf(p)
		view.Providers = append(view.Providers, providerView{p, status, tone, unheard(now, p),
			newPlot(p.Plot, func(p flow.Point) uint64 { return p.Delivered }), newPlot(p.Plot, func(p flow.Point) uint64 { return p.Dead })})
	}
	view.Codes = codeViews(view.Letters.Groups)
	return view
}

// mostReasons is how many groups of one code a page shows.
const mostReasons = 12

// codeViews gathers groups, which come with the largest first, by their code;
// the most frequent code comes first.
func codeViews(groups []dlq.Group) []codeView {
	var views []codeView
	index := map[dlq.Key]int{}
	for _, g := range groups {
		key := dlq.Key{Provider: g.Provider, Code: g.Code}
		at, known := index[key]
		if !known {
			at = len(views)
			index[key] = at
			all := choice{FilterText: dlq.FilterText{Provider: g.Provider, Code: g.Code}}
			views = append(views, codeView{Provider: g.Provider, Code: g.Code, Meaning: dlq.Explain(g.Provider, g.Code), Address: addressOf(all)})
		}
		v := &views[at]
		v.Count += g.Count
		if g.Last.After(v.Last) {
			v.Last = g.Last
		}
		v.Reasons = append(v.Reasons, groupView{g, v.Meaning, addressOf(groupChoice(g))})
	}
	slices.SortStableFunc(views, func(a, b codeView) int { return cmp.Compare(b.Count, a.Count) })
	for i := range views {
		views[i].Share = max(1, views[i].Count*100/views[0].Count)
	}
	return views
}

// addressOf is where a choice's letters are listed. Letters that somebody put
// on a subject of his own cannot be chosen alone.
func addressOf(c choice) string {
	if _, wrong := c.Filter(time.Now()); len(wrong) > 0 {
		return "/letters"
	}
	return c.Address()
}

// Shown are the reasons that a page shows, the largest first.
func (v codeView) Shown() []groupView { return v.Reasons[:min(len(v.Reasons), mostReasons)] }

// alerts puts what is wrong into plain words.
func alerts(now flow.Snapshot) []alert {
	list := awayAlerts(now)
	for _, p := range now.Providers {
		name := providerName(p.Name)
		if h := p.Hold; h != nil {
			list = append(list, alert{ID: "held-" + p.Name, Title: name + " is held", Text: holdText(name, *h), Provider: p.Name, Hold: h})
		}
		if !p.PausedUntil.IsZero() {
			list = append(list, alert{ID: "paused-" + p.Name, Title: name + " is paused", Text: "Somebody has paused its consumer at the broker until " +
				phrase.When(p.PausedUntil) + ". Events wait and none dies. `nats consumer resume " + consumer.EventsStream + " " + p.Name + "` ends the pause."})
		}
		if p.Pods == 0 && p.Waiting > 0 && p.Known && !p.Served && !isQuiet(now.At, p.Hold) && now.Away == "" && now.At.Sub(now.Since) > settling {
			list = append(list, alert{ID: "nobody-" + p.Name, Title: "No worker serves " + name,
				Text: "Events wait and no worker asks the broker for them. Start `worker run` with its credentials; of one that runs, `/readyz` and its log say what it waits for. Nothing is lost meanwhile."})
		}
	}
	return list
}

// trying is how long a worker may take for its try of a provider that is held.
const trying = time.Minute

// isQuiet reports whether a hold keeps workers from asking for events.
func isQuiet(now time.Time, h *flow.Hold) bool { return h != nil && now.Before(h.Until.Add(trying)) }

// unheard says why the workers' own figures of a provider are not known.
func unheard(now flow.Snapshot, p flow.Provider) string {
	switch {
	case now.Deaf:
		return "What its workers count is not known here: the console's NATS user may not subscribe to `" + flow.Subject + "`. Grant it that right and the figures come by themselves."
	case p.Pods == 0 && p.Served && now.At.Sub(now.Since) > settling:
		return "A worker takes its events and does not announce itself, so what it counts is not known here. It has just started or ended, or its NATS user may not publish on `" + flow.Subject + "`."
	}
	return ""
}

// awayAlerts tell of the broker alone.
func awayAlerts(now flow.Snapshot) []alert {
	if now.Away == "" {
		return nil
	}
	return []alert{{ID: "away", Title: "The broker does not answer", Text: now.Away + ". The figures below are the last known."}}
}

// holds says which providers are held now: what is replayed to them waits.
func (c *Console) holds() []string {
	var list []string
	for _, p := range c.flow.Now().Providers {
		if p.Hold != nil {
			list = append(list, providerName(p.Name)+" is held now: what is replayed to it waits until it takes events again.")
		}
	}
	return list
}

// settling is how long workers may be silent after the console has begun to
// listen.
const settling = 3 * flow.Every

// holdText says what a hold means. The detail is the provider's answer, scrubbed.
func holdText(name string, h flow.Hold) string {
	why := map[string]string{
		"unavailable":   name + " does not answer, or answers with an error of its own.",
		"throttled":     name + " asks to be called less often (429).",
		"unauthorized":  name + " refuses our credentials: look at the variables with its key.",
		"misconfigured": name + " answers, but not as itself: look at the region and the base URL, and whether something else answers in its place.",
	}[h.Reason]
	if why == "" {
		why = "The reason is " + h.Reason + "."
	}
	var b strings.Builder
	b.WriteString(why)
	if h.Detail != "" {
		fmt.Fprintf(&b, " It said: %s.", strings.TrimRight(h.Detail, "."))
	}
	b.WriteString(" Events wait and none dies.")
	return b.String()
}

func statusOf(p flow.Provider) (status, tone string) {
	switch {
	case p.Hold != nil:
		return "held", "bad"
	case !p.PausedUntil.IsZero():
		return "paused", "bad"
	case p.Pods == 0 && p.Served:
		return "served", "idle" // how well is not known
	case p.Pods == 0:
		return "no worker", "idle"
	case p.Rate > 0:
		return "delivering", "good"
	case p.Waiting > 0:
		return "events wait", "idle"
	}
	return "nothing waits", "good"
}

// plot is a row of bars in a picture of 240 by 40.
type plot struct {
	Path  string
	Total uint64
}

const plotWidth, plotHeight = 240, 40

func newPlot(points []flow.Point, of func(flow.Point) uint64) plot {
	var p plot
	highest := uint64(0)
	for _, point := range points {
		p.Total += of(point)
		highest = max(highest, of(point))
	}
	if highest == 0 {
		return p
	}
	var b strings.Builder
	step := float64(plotWidth) / float64(len(points))
	for i, point := range points {
		if n := of(point); n > 0 {
			height := max(1, float64(n)/float64(highest)*plotHeight)
			fmt.Fprintf(&b, "M%.1f %dv-%.1fh%.1fv%.1fz", float64(i)*step, plotHeight, height, step*0.85, height)
		}
	}
	p.Path = b.String()
	return p
}

// resume ends a provider's hold for the whole fleet.
func (c *Console) resume(w http.ResponseWriter, r *http.Request, s *session) {
	provider := r.PathValue("provider")
	if !slices.Contains(event.Providers(), provider) {
		c.problem(w, s, http.StatusNotFound, "There is no such provider.")
		return
	}
	if c.away(w, s) {
		return
	}
	resumed, err := c.flow.Resume(r.Context(), provider)
	if err != nil {
		c.Log.Warn("console: resume", "operator", s.operator, "provider", provider, "err", err)
		c.problem(w, s, http.StatusBadGateway, providerName(provider)+" could not be resumed: "+errorLine(err))
		return
	}
	c.Log.Info("console: resumed", "operator", s.operator, "provider", provider, "was_held", resumed)
	line := providerName(provider) + " goes on: the hold has ended for every pod."
	if !resumed {
		line = providerName(provider) + " was not held any more."
	}
	s.tell(line)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
