package console

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/dlq/replay"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

// replayTask puts letters back, a few of each group first.
type replayTask struct {
	js      jetstream.JetStream
	letters *dlq.Reader
	options replay.Options
	held    func() []string // sentences about what is held now
	plan    *replay.Plan
}

// ordersOf are the options that are not the usual ones, in words. The value of
// a correction may be personal.
func ordersOf(o replay.Options, field string) []string {
	var list []string
	add := func(unusual bool, format string, args ...any) {
		if unusual {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(o.Change != nil, "corrects %s in each event", strings.TrimSpace(field))
	add(o.Stale, "also what is too old or superseded")
	add(o.Trial == 0, "no trial")
	add(o.Trial != 0 && o.Trial != replay.DefaultTrial, "a trial of %d", o.Trial)
	add(o.MaxFail == 0, "does not stop however many die again")
	add(o.MaxFail != 0 && o.MaxFail != replay.DefaultMaxFail, "stops a group at %d deaths", o.MaxFail)
	add(o.Rate > 0, "at most %s a second", strconv.FormatFloat(o.Rate, 'f', -1, 64))
	return list
}

// How many letters a second an operator may ask for.
const (
	leastRate = 0.01
	mostRate  = 100_000
)

// readReplay takes the options of a form; what is wrong with them comes back
// in sentences.
func readReplay(form url.Values, filter dlq.Filter) (replay.Options, []string) {
	o := replay.Options{
		Filter: filter, MaxGeneration: replay.DefaultMaxGeneration, MaxAge: replay.DefaultMaxAge, Stale: form.Get("stale") != "",
		Trial: replay.DefaultTrial, MaxFail: replay.DefaultMaxFail, Yield: replay.DefaultYield, Wait: replay.DefaultWait,
	}
	var problems []string
	for _, field := range []struct {
		name, label string
		into        *int
	}{{"trial", "letters of each group to try first", &o.Trial}, {"maxfail", "deaths that stop a group", &o.MaxFail}} {
		if text := strings.TrimSpace(form.Get(field.name)); text != "" {
			n, err := strconv.ParseUint(text, 10, 31)
			if err != nil {
				problems = append(problems, fmt.Sprintf("%s: “%s” must be a whole number from 0", field.label, text))
			}
			*field.into = int(n)
		}
	}
	if text := strings.TrimSpace(form.Get("rate")); text != "" {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil || rate != 0 && !(rate >= leastRate && rate <= mostRate) {
			problems = append(problems, fmt.Sprintf("most letters a second: “%s” must be a number from %v to %v, or 0 for no limit", text, leastRate, mostRate))
		}
		o.Rate = rate
	}
	if field := strings.TrimSpace(form.Get("field")); field != "" {
		set, err := replay.ParseSet(field + "=" + form.Get("value"))
		switch {
		case strings.Contains(field, "="): // and a part of a value, which is not told
			problems = append(problems, "correction: the name of a field has no “=”; the value has a field of its own")
		case err != nil:
			problems = append(problems, fmt.Sprintf("correction: “%s” %s", field, err))
		default:
			o.Change = replay.ChangeBy([]replay.Set{set})
		}
	}
	return o, problems
}

func (t *replayTask) look(ctx context.Context) (preview, error) {
	plan, err := replay.Prepare(ctx, t.js, t.letters, t.options)
	if err != nil {
		return preview{}, err
	}
	t.plan = plan
	p := preview{Total: plan.Ready(), Agree: "Replay"}
	for _, g := range plan.Groups {
		r := row{Key: g.Key, Count: g.Count}
		if g.Ready > 0 {
			r.Lines = append(r.Lines, line{"good", phrase.Thousands(g.Ready) + " to be replayed"})
		}
		if g.Done > 0 {
			r.Lines = append(r.Lines, line{"", phrase.Thousands(g.Done) + " were replayed already, by a run that was cut off: only to be removed"})
		}
		for _, why := range replay.Whys() {
			if n := g.Left[why]; n > 0 {
				r.Lines = append(r.Lines, line{"", phrase.Thousands(n) + stays(n) + whyWords(why) + why.Detail(g.Example)})
			}
		}
		p.Rows = append(p.Rows, r)
	}
	slices.SortStableFunc(p.Rows, func(a, b row) int { return cmp.Compare(b.Count, a.Count) })
	careful := " without a trial"
	if t.options.Trial > 0 {
		careful = fmt.Sprintf(", up to %d of each group first", t.options.Trial)
	}
	p.Question = "Replay " + phrase.Plural(p.Total, "letter") + careful + "?"
	if t.options.Trial > 0 {
		p.Notes = append(p.Notes, "A group goes on only when none of its trial died again. You can stop at any moment; what is not replayed then stays a letter.")
	}
	p.Notes = append(p.Notes, t.held()...)
	if plan.Matched() == 0 {
		p.Notes = []string{"No letter is chosen."}
	}
	return p, nil
}

// stays is said of so many letters.
func stays(n int) string {
	if n == 1 {
		return " stays: "
	}
	return " stay: "
}

func (t *replayTask) run(ctx context.Context, report func(progress)) (result, error) {
	total := t.plan.Ready()
	did, err := t.plan.Run(ctx, func(p replay.Progress) {
		report(progress{Text: p.Words(), Done: min(p.Delivered+p.Died+p.Erased, total), Total: total})
	})
	r := result{Good: did.Died+did.Left+did.NotRemoved == 0 && !did.Interrupted && err == nil, Summary: did.Words()}
	for _, g := range did.Groups {
		r.Rows = append(r.Rows, reportRow(g))
	}
	slices.SortStableFunc(r.Rows, func(a, b row) int { return cmp.Compare(b.Count, a.Count) })
	if did.Interrupted {
		r.Notes = append(r.Notes, "It was stopped before its end. What was left is still a letter; what waits in the stream goes on without this page.")
	}
	if did.NotRemoved > 0 {
		r.Notes = append(r.Notes, phrase.Plural(did.NotRemoved, "letter")+" could not be removed after the replay: the next replay recognises and removes them.")
	}
	return r, err
}

func reportRow(g replay.GroupReport) row {
	r := row{Key: g.Key, Count: g.Matched}
	switch words := g.TrialWords(); {
	case words == "":
	case g.Trial == replay.Failed:
		r.Lines = append(r.Lines, line{"bad", words})
	case g.Trial == replay.Passed:
		r.Lines = append(r.Lines, line{"good", words})
	default:
		r.Lines = append(r.Lines, line{"", words})
	}
	for _, told := range g.Lines(whyWords) {
		tone := ""
		if told.Good {
			tone = "good"
		}
		r.Lines = append(r.Lines, line{tone, told.Words})
	}
	return r
}

// whyWords say why a letter is left, to a person who has a form at hand and
// no flags.
func whyWords(why replay.Why) string {
	switch why {
	case replay.TooOften:
		return "replayed " + phrase.Times(replay.DefaultMaxGeneration) + " and died each time; `dlq replay` with a higher --max-generation could try again"
	case replay.TooOld:
		return "their events are older than " + phrase.Span(replay.DefaultMaxAge) + " (tick “also what is too old or superseded” to replay them)"
	case replay.Superseded:
		return "a newer event of the same user, type and device is stored (tick “also what is too old or superseded” to replay them)"
	case replay.Invalid:
		return "the provider could still not take the event: correct a field"
	case replay.Unanswered:
		return "no outcome came any more of those that went before"
	case replay.Stopped:
		return "stopped, because too many died again"
	}
	return why.String()
}
