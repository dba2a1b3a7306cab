// Package sandbox is a double of both push providers, CleverTap's token
// upload and Courier's single token, over real HTTP: for an app's integration
// tests, for development without accounts, for benchmarks and chaos runs.
//
// It knows what the providers' documents say about requests and answers, and
// it can be told to misbehave by rules (Rule). What it accepted and refused,
// and how many calls were open at once, it shows as Go values (Report,
// Accepted) and as JSON under /sandbox/. It keeps tokens in memory on purpose,
// and prints none. It refuses to know anything of the sender: no event, no
// broker, no retry.
//
// Start owns one goroutine, the HTTP server's; Close ends it and every open
// call. New owns none.
package sandbox

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// The providers, as rules, reports and queries name them.
const (
	CleverTap = "clevertap"
	Courier   = "courier"
)

// The base path of each provider and of the sandbox's own pages.
const (
	CleverTapPath = "/clevertap"
	CourierPath   = "/courier"
	ControlPath   = "/sandbox"
)

// What Settings default to.
const (
	DefaultAddr         = "127.0.0.1:0"
	DefaultAccountID    = "sandbox-account"
	DefaultPasscode     = "sandbox-passcode"
	DefaultAPIKey       = "sandbox-key"
	DefaultCleverTapCap = 3 // "Concurrent requests are limited to 3 per account", CleverTap: Upload Device Tokens API
	DefaultLeaveGrace   = 20 * time.Millisecond
	DefaultKeep         = 100_000
	DefaultKeepCalls    = 1_000
)

// Recording says how much the sandbox remembers of each record.
type Recording string

// The recordings. Counters are kept with each of them.
const (
	RecordAll          Recording = "all"          // the newest Settings.Keep records of each kind, and fingerprints
	RecordFingerprints Recording = "fingerprints" // about 20 bytes an accepted record, to count repetitions
	RecordCounts       Recording = "counts"       // nothing but counters; repetitions are not seen
)

// Settings of a sandbox; the zero value is a working one on a free loopback
// port, with the default credentials.
type Settings struct {
	Addr         string // host:port to listen on; default 127.0.0.1:0. Loopback only, unless Exposed
	Exposed      bool   // listen on other than loopback addresses too: anybody who reaches it reads the tokens
	AccountID    string // X-CleverTap-Account-Id to demand
	Passcode     string // X-CleverTap-Passcode to demand
	APIKey       string // Courier's bearer key to demand
	CleverTapCap int    // CleverTap calls open at once before 429; 0 is the default 3, negative is none

	// LeaveGrace is how long a call over the cap waits for the news that one of
	// the open calls was left by its client, which makes room: a client closes
	// one connection and opens the next in that order, but they reach us on two
	// sockets, in any. Default 20 ms; longer when a proxy lies between.
	LeaveGrace time.Duration

	Rules     []Rule    // faults from the beginning
	Recording Recording // default RecordAll
	Keep      int       // records remembered of each provider and kind, the oldest go first; 0 is 100 000
	KeepCalls int       // calls remembered, the oldest go first; 0 is 1 000
}

// Server is a running sandbox. All its methods are safe for concurrent use.
type Server struct {
	settings  Settings
	rules     ruleSet
	clevertap *cleverTap
	courier   *courier
	watch     watch

	http *http.Server // nil unless Start made the server
	base string
	done chan struct{} // closed when the listener's goroutine has ended
	stop context.CancelFunc
}

// New makes a sandbox without a listener, for Handler. Its error has one line
// for each mistake in the settings.
func New(settings Settings) (*Server, error) {
	settings, err := settings.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{settings: settings}
	s.clevertap = &cleverTap{accountID: settings.AccountID, book: newBook(settings, settings.CleverTapCap, &s.watch)}
	s.courier = &courier{book: newBook(settings, 0, &s.watch)}
	s.SetPasscode(settings.Passcode)
	s.SetAPIKey(settings.APIKey)
	s.rules.set(settings.Rules, time.Now())
	return s, nil
}

// Start makes a sandbox and serves it until Close.
func Start(settings Settings) (*Server, error) {
	s, err := New(settings)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", s.settings.Addr)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.base, s.stop, s.done = "http://"+listener.Addr().String(), stop, make(chan struct{})
	s.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          log.New(io.Discard, "", 0), // its lines could name addresses; what matters is in the report
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(listener) // always ErrServerClosed, after Close
	}()
	return s, nil
}

// Close ends the listener and all open calls. It does nothing to a sandbox
// made by New.
func (s *Server) Close() error {
	if s.http == nil {
		return nil
	}
	s.stop()
	err := s.http.Close()
	<-s.done
	return err
}

// URL is where the sandbox listens, without a path; empty after New.
func (s *Server) URL() string { return s.base }

// CleverTapURL is the base URL of the fake CleverTap: CLEVERTAP_BASE_URL.
func (s *Server) CleverTapURL() string { return s.base + CleverTapPath }

// CourierURL is the base URL of the fake Courier: COURIER_BASE_URL.
func (s *Server) CourierURL() string { return s.base + CourierPath }

// Handler serves the providers below CleverTapPath and CourierPath and the
// sandbox's own pages below ControlPath.
func (s *Server) Handler() http.Handler {
	control := s.control()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not a ServeMux: it would tidy the path, and a Courier token may hold
		// anything, percent-encoded.
		path := r.URL.EscapedPath()
		if rest, ok := below(path, CleverTapPath); ok {
			s.serve(w, r, s.clevertap, rest)
		} else if rest, ok := below(path, CourierPath); ok {
			s.serve(w, r, s.courier, rest)
		} else {
			control.ServeHTTP(w, r)
		}
	})
}

func below(path, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(path, prefix)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// same compares a credential without telling by its duration how much matched.
func same(got, want string) bool { return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1 }

func (s Settings) complete() (Settings, error) {
	setDefault(&s.Addr, DefaultAddr)
	setDefault(&s.AccountID, DefaultAccountID)
	setDefault(&s.Passcode, DefaultPasscode)
	setDefault(&s.APIKey, DefaultAPIKey)
	setDefault(&s.CleverTapCap, DefaultCleverTapCap)
	setDefault(&s.LeaveGrace, DefaultLeaveGrace)
	setDefault(&s.Recording, RecordAll)
	setDefault(&s.Keep, DefaultKeep)
	setDefault(&s.KeepCalls, DefaultKeepCalls)

	var mistakes []error
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Errorf(format, args...)) }
	if host, _, err := net.SplitHostPort(s.Addr); err != nil {
		wrong("Addr: %q is no host:port", s.Addr)
	} else if !s.Exposed && !loopback(host) {
		wrong("Addr: %q is not a loopback address; Exposed allows it", s.Addr)
	}
	switch s.Recording {
	case RecordAll, RecordFingerprints, RecordCounts:
	default:
		wrong("Recording: %q; want %s, %s or %s", s.Recording, RecordAll, RecordFingerprints, RecordCounts)
	}
	if s.LeaveGrace < 0 {
		wrong("LeaveGrace: %v; want a duration above 0", s.LeaveGrace)
	}
	if s.Keep < 0 {
		wrong("Keep: %d; want a number above 0", s.Keep)
	}
	if s.KeepCalls < 0 {
		wrong("KeepCalls: %d; want a number above 0", s.KeepCalls)
	}
	mistakes = append(mistakes, validateRules(s.Rules)...)
	return s, errors.Join(mistakes...)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
