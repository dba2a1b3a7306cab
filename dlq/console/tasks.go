package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/dlq/erase"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

// chosen is the letters of a filter that were there when somebody looked.
type chosen struct {
	letters *dlq.Reader
	filter  dlq.Filter
	extent  dlq.Extent // of that moment
	total   int
}

func (c *chosen) count(ctx context.Context) (rows []row, err error) {
	if c.extent, err = c.letters.Extent(ctx); err != nil {
		return nil, err
	}
	groups, err := c.letters.Groups(ctx, c.filter, c.extent.Last)
	for _, g := range groups {
		c.total += g.Count
		rows = append(rows, row{Key: g.Key, Count: g.Count})
	}
	return rows, err
}

// purgeTask removes letters for good.
type purgeTask struct{ chosen }

func (t *purgeTask) look(ctx context.Context) (preview, error) {
	rows, err := t.count(ctx)
	return preview{Total: t.total, Rows: rows, Question: "Remove " + phrase.Plural(t.total, "letter") + " for good?",
		Agree: "Purge", Final: "I know that they cannot be brought back"}, err
}

func (t *purgeTask) run(ctx context.Context, report func(progress)) (result, error) {
	if err := t.letters.IsOf(ctx, t.extent); err != nil && ctx.Err() == nil { // who was stopped is told of by what follows
		return result{}, fmt.Errorf("%w: nothing was removed; begin again", err)
	}
	n, err := t.letters.Purge(ctx, t.filter, t.extent.Last, func(n int) {
		report(progress{Text: phrase.Plural(n, "letter") + " removed", Done: n, Total: t.total})
	})
	r := result{Good: err == nil, Summary: phrase.Plural(n, "letter") + " removed."}
	switch {
	case n >= t.total:
	case ctx.Err() != nil:
		r.Notes = append(r.Notes, "It was stopped before its end; the others are still there.")
	case err != nil:
		r.Summary = phrase.Plural(n, "letter") + " removed for certain. Whether others were is not known: see what is left."
	default:
		r.Notes = append(r.Notes, goneMeanwhile(t.total-n))
	}
	return r, err
}

// goneMeanwhile tells of letters that were counted and are not there any more.
func goneMeanwhile(n int) string {
	return phrase.Thousands(n) + " had been removed by somebody else meanwhile, or had expired."
}

// exportTask writes letters into a download; they stay in the stream.
type exportTask struct {
	chosen
	out    io.Writer // both set before run
	cutOff func()    // ends a write that nobody reads
}

func (t *exportTask) look(ctx context.Context) (preview, error) {
	rows, err := t.count(ctx)
	return preview{Total: t.total, Rows: rows, Question: "Download " + phrase.Plural(t.total, "letter") + ", with all that is personal in them?",
		Agree: "Download", Notes: []string{"A line of JSON each, as `publisher import` takes it. The letters stay where they are."}}, err
}

// errNothing is of an export that ended before its first byte.
var errNothing = errors.New("nothing was exported")

// showEvery is after how many lines an export tells how far it is.
const showEvery = 200

func (t *exportTask) run(ctx context.Context, report func(progress)) (result, error) {
	if err := t.letters.IsOf(ctx, t.extent); err != nil && ctx.Err() == nil { // who was stopped is told of by what follows
		return result{}, fmt.Errorf("%w: %w; begin again", err, errNothing)
	}
	tell := func(n int) {
		report(progress{Text: phrase.Plural(n, "letter") + " written", Done: n, Total: t.total})
	}
	following := context.AfterFunc(ctx, t.cutOff)
	n, failure := t.letters.Export(ctx, t.filter, t.extent.Last, t.out, func(n int) {
		if n%showEvery == 0 {
			tell(n)
		}
	})
	if !following() && failure == nil { // stopped at the very end, but that is not sent yet
		failure = ctx.Err()
	}
	tell(n)
	r := result{Good: failure == nil && n >= t.total, Summary: phrase.Plural(n, "letter") + " exported."}
	switch {
	case failure == nil && n < t.total:
		r.Notes = append(r.Notes, goneMeanwhile(t.total-n))
	case failure != nil && ctx.Err() != nil:
		r.Summary = phrase.Plural(n, "letter") + " written, and then it was stopped: the file is not whole."
		failure = ctx.Err()
	case failure != nil:
		r.Summary = phrase.Plural(n, "letter") + " written, and then the download was cut off."
		failure = errors.New("the download was cut off") // the connection's own words have addresses
	}
	return r, failure
}

// eraseTask removes a person from both streams.
type eraseTask struct{ eraser *erase.Eraser }

func (t *eraseTask) look(ctx context.Context) (preview, error) {
	found, err := t.eraser.Look(ctx)
	return preview{Total: found.Letters + found.Events, Agree: "Erase", Final: "I know that this cannot be undone", Notes: searched(found),
		Question: fmt.Sprintf("Erase %s and %s of this person for good?", phrase.Plural(found.Letters, "letter"), phrase.Plural(found.Events, "event"))}, err
}

// searched is the line about what a person cannot be looked up in for certain.
func searched(n erase.Counts) []string {
	if n.Searched == 0 {
		return nil
	}
	return []string{phrase.Searched(n.Searched) + "."}
}

func (t *eraseTask) run(ctx context.Context, report func(progress)) (result, error) {
	did, err := t.eraser.Remove(ctx, func(n erase.Counts) {
		report(progress{Text: fmt.Sprintf("%s and %s removed", phrase.Plural(n.Letters, "letter"), phrase.Plural(n.Events, "event")), Done: n.Letters + n.Events})
	})
	r := result{Good: err == nil && len(did.InHand) == 0,
		Summary: fmt.Sprintf("Erased: %s and %s.", phrase.Plural(did.Letters, "letter"), phrase.Plural(did.Events, "event")), Notes: searched(did)}
	if ctx.Err() != nil {
		r.Notes = append(r.Notes, "It was stopped before its end: erase once more for the rest.")
	}
	for _, provider := range slices.Sorted(maps.Keys(did.Erased)) {
		told := "A worker has counted them (events_total, outcome erased)."
		if did.Counted[provider] == 0 {
			told = "No worker confirmed that it counts them (none runs, or it may not be asked): this line is their record."
		}
		r.Notes = append(r.Notes, fmt.Sprintf("%s: %s had been waiting for it and will never reach it. %s", providerName(provider), phrase.Plural(did.Erased[provider], "event"), told))
	}
	for _, provider := range slices.Sorted(maps.Keys(did.InHand)) {
		r.Notes = append(r.Notes, fmt.Sprintf("%s: a worker has %s in hand and may still deliver them. Erase once more, for a letter may follow.", providerName(provider), phrase.Plural(did.InHand[provider], "event")))
	}
	return r, err
}
