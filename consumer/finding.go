package consumer

import "fmt"

// Severity says how much a finding matters.
type Severity int

// The severities, worst first.
const (
	Broken  Severity = iota // would not work, or would lose events
	Warning                 // works, differs from what is declared or is risky
	Note                    // cannot be seen from here, or is nobody's fault
)

func (s Severity) String() string {
	switch s {
	case Broken:
		return "broken"
	case Warning:
		return "warning"
	default:
		return "note"
	}
}

// Finding is one way in which what exists differs from what is declared.
type Finding struct {
	Severity Severity
	What     string // the thing and its setting: "stream TOKENS: retention"
	Found    string
	Expected string
	Remedy   string // what to do about it; may be empty
}

// String is the finding in one line.
func (f Finding) String() string {
	line := fmt.Sprintf("%s is %s, want %s", f.What, f.Found, f.Expected)
	if f.Remedy != "" {
		line += ": " + f.Remedy
	}
	return line
}

// findingError is a broken finding that stops a start.
type findingError struct{ Finding }

func (e *findingError) Error() string { return e.String() }
