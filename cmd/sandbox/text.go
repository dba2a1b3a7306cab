package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/tokenrelay/tokenrelay/sandbox"
)

// greeting says where the doubles are and how to use them, in the worker's
// variables. It leaves out the credentials that were given from outside.
func greeting(s *sandbox.Server, c *commandLine) string {
	var text strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&text, format+"\n", args...) }
	line("sandbox: CleverTap and Courier at %s, for tests and development only\n", s.URL())
	line("  CLEVERTAP_BASE_URL=%s", s.CleverTapURL())
	if c.AccountID == sandbox.DefaultAccountID {
		line("  CLEVERTAP_ACCOUNT_ID=%s", sandbox.DefaultAccountID)
	}
	if !c.Passcode.IsSet() {
		line("  CLEVERTAP_PASSCODE=%s", sandbox.DefaultPasscode)
	}
	line("  COURIER_BASE_URL=%s", s.CourierURL())
	if !c.APIKey.IsSet() {
		line("  COURIER_API_KEY=%s", sandbox.DefaultAPIKey)
	}
	line("\n  curl %s/sandbox/report    what was accepted and refused, calls open at once", s.URL())
	line("  curl %s/                  what else there is", s.URL())
	if c.Exposed {
		line("\n  Exposed: whoever reaches this address can read every token.")
	}
	if rules := len(s.Rules()); rules > 0 {
		line("\n  Rules in force: %d, see %s/sandbox/rules", rules, s.URL())
	}
	return text.String()
}

// farewell is a line a provider.
func farewell(r sandbox.Report) string {
	line := func(provider string, r sandbox.ProviderReport) string {
		text := fmt.Sprintf("%s: %d calls, at most %d open, %d over the cap; %d records accepted", provider, r.Calls, r.PeakOpen, r.Throttled, r.Accepted)
		if r.Repeated > 0 {
			text += fmt.Sprintf(" (%d repeated)", r.Repeated)
		}
		refused := make([]string, 0, len(r.Refused))
		for _, code := range slices.Sorted(maps.Keys(r.Refused)) {
			refused = append(refused, fmt.Sprintf("%d refused %s", r.Refused[code], code))
		}
		return strings.Join(append([]string{text}, refused...), ", ") + "\n"
	}
	return line(sandbox.CleverTap, r.CleverTap) + line(sandbox.Courier, r.Courier)
}

// cause is an error of the file system without its path, which the line has already.
func cause(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err.Error()
	}
	return err.Error()
}
