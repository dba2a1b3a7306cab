package replay

import (
	"testing"

	"github.com/tokenrelay/tokenrelay/publisher"
)

// The figures of a trial are the trial's, whoever had replayed its letters.
func TestTrialWords(t *testing.T) {
	t.Parallel()
	mine, another := flight{trial: true, own: true}, flight{trial: true}
	dead := func(seq uint64) publisher.Outcome {
		return publisher.Outcome{StreamSeq: seq, Outcome: "dead", Code: "531", Reason: "no"}
	}
	for name, c := range map[string]struct {
		flights []flight // at 1, 2, 3
		known   []publisher.Outcome
		verdict Verdict
		want    string
	}{
		"all died, all another run's": {[]flight{another, another, another}, []publisher.Outcome{dead(1), dead(2), dead(3)}, Failed, "TRIAL FAILED: 3 replayed, 3 died again (531: no)"},
		"one of another run's died":   {[]flight{mine, another, mine}, []publisher.Outcome{dead(2)}, Failed, "TRIAL FAILED: 3 replayed, 1 died again (531: no)"},
		"none died":                   {[]flight{mine, another}, []publisher.Outcome{{StreamSeq: 1}, {StreamSeq: 2}}, Passed, "trial passed: 2 replayed, none died"},
		"one of another run's waits":  {[]flight{mine, another}, []publisher.Outcome{{StreamSeq: 1}}, Open, "trial without an outcome: 2 replayed, 1 still wait"},
		"all were refused":            {nil, nil, Open, "no trial: the broker took none of it"},
		"there was none":              {nil, nil, NoTrial, ""},
	} {
		b := newBooks(&Plan{Groups: make([]Group, 1)}, func(string, int, bool) {})
		b.takeOff(9, flight{own: true}) // not of the trial
		for i, f := range c.flights {
			b.takeOff(uint64(i+1), f)
		}
		for _, o := range c.known {
			b.heard(o)
		}
		b.note(0, func(g *GroupReport) { g.Trial = c.verdict })
		groups, _ := b.report()
		if got := groups[0].TrialWords(); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
