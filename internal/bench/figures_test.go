package main

import (
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	run := func(took, cpu time.Duration, peak int64) figures {
		return figures{tokens: 10, took: took, cpu: cpu, peak: peak, calls: 1}
	}
	for name, test := range map[string]struct {
		runs []figures
		want figures
	}{
		"one":  {[]figures{run(1, 2, 3)}, run(1, 2, 3)},
		"two":  {[]figures{run(2, 10, 30), run(4, 20, 10)}, run(3, 15, 20)},
		"each": {[]figures{run(1, 6, 5), run(2, 5, 9), run(3, 4, 7)}, run(2, 5, 7)},
	} {
		if got := median(test.runs); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	cost := func(cpu time.Duration, peak int64) figures { return figures{tokens: 1000, cpu: cpu, peak: peak} }
	for name, test := range map[string]struct {
		verdict verdict
		met     bool
		text    string
	}{
		"cpu met":        {cpuVerdict("courier", cost(150, 0), cost(100, 0)), true, "courier: CPU a token is 1.50 ×"},
		"cpu missed":     {cpuVerdict("courier", cost(151, 0), cost(100, 0)), false, "courier: CPU a token is 1.51 ×"},
		"memory met":     {memoryVerdict(cost(1, 30<<10-1)), true, "backlog of 500 events is 30.0 MiB"},
		"memory missed":  {memoryVerdict(cost(1, 30<<10)), false, "backlog of 500 events is 30.0 MiB"},
		"memory unknown": {memoryVerdict(cost(1, 0)), false, "could not be read"},
	} {
		if test.verdict.met != test.met || !strings.Contains(test.verdict.text, test.text) {
			t.Errorf("%s: %+v", name, test.verdict)
		}
	}
	var out strings.Builder
	if missed := printVerdicts(&out, []verdict{{"a", true}, {"b", true}}); missed || out.String() != "\nmet     a\nmet     b\n" {
		t.Errorf("missed %t of %q", missed, out.String())
	}
	out.Reset()
	if missed := printVerdicts(&out, []verdict{{"a", false}, {"b", true}}); !missed || out.String() != "\nMISSED  a\nmet     b\n" {
		t.Errorf("missed %t of %q", missed, out.String())
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	table := newTable(&out, "courier")
	loop := figures{tokens: 1_000_000, took: 10 * time.Second, cpu: 20 * time.Second, peak: 16 << 10, calls: 7}
	worker := figures{tokens: 1_000_000, took: 20 * time.Second, cpu: 25 * time.Second, peak: 24 << 10, calls: 8, repeated: 2}
	table.row("loop", loop)
	table.row("worker", worker)
	table.ratios(worker, loop)
	if err := table.end(); err != nil {
		t.Fatal(err)
	}
	const want = `
courier
                 tokens/s  CPU s a million tokens  peak MiB  calls  repeated tokens
           loop    100000                   20.00      16.0      7                0
         worker     50000                   25.00      24.0      8                2
  worker / loop      0.50                    1.25      1.50                        
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestParsePeak(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status string
		want   int64
		ok     bool
	}{
		"usual":   {"Name:\tworker\nVmPeak:\t 2098496 kB\nVmHWM:\t   30232 kB\nVmRSS:\t 1 kB\n", 30232, true},
		"zombie":  {"Name:\tworker\nState:\tZ (zombie)\n", 0, false},
		"unit":    {"Name:\tworker\nVmHWM:\t30 MB\n", 0, false},
		"garbage": {"Name:\tworker\nVmHWM:\tmany kB\n", 0, false},
	} {
		if got, err := parsePeak(test.status); got != test.want || (err == nil) != test.ok {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
}
