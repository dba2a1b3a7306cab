package main

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// provider is both providers: the sandbox, behind an observer, with a door of
// its own for every pod.
type provider struct {
	sandbox  *sandbox.Server
	observer *observer
	doors    []*http.Server
}

// remembered records are more than any run has.
const remembered = 10_000_000

func startProvider(o *observer) (*provider, error) {
	s, err := sandbox.New(sandbox.Settings{
		CleverTapCap: -1, // the observer judges; a 429 of its own would hide what is wrong
		Keep:         remembered, KeepCalls: 1,
		Rules: append(refusals(),
			// So slow that the events keep all permits in use most of the time.
			sandbox.Rule{Name: pace, Provider: event.CleverTap, Effect: sandbox.Latency, Delay: 200 * time.Millisecond, DelayMax: 500 * time.Millisecond},
			sandbox.Rule{Provider: event.Courier, Effect: sandbox.Latency, Delay: 5 * time.Millisecond, DelayMax: 20 * time.Millisecond}),
	})
	if err != nil {
		return nil, err
	}
	return &provider{sandbox: s, observer: o}, nil
}

// pace is the rule that makes CleverTap slow.
const pace = "pace"

// hurry makes the providers as fast as they can be, for the rest.
func (p *provider) hurry() { p.sandbox.RemoveRule(pace) }

// refusals are the records that the providers do not take: always the same.
func refusals() []sandbox.Rule {
	return []sandbox.Rule{
		{Name: "refused", Provider: event.CleverTap, Effect: sandbox.Refuse, Code: "531", Share: 0.02, Salt: event.CleverTap},
		{Name: "refused", Provider: event.Courier, Effect: sandbox.Refuse, Code: "400", Share: 0.02, Salt: event.Courier},
	}
}

// letterCode is what a letter of a refused record must say.
func letterCode(rule sandbox.Rule) string {
	if rule.Provider == event.Courier {
		return "http_" + rule.Code
	}
	return rule.Code
}

// open makes a door for the next pod and returns its address.
func (p *provider) open() (string, error) {
	listener, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		return "", err
	}
	door := &http.Server{
		Handler:           p.observer.watch(len(p.doors), p.sandbox.Handler()),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	p.doors = append(p.doors, door)
	go func() { _ = door.Serve(listener) }() // ends with close
	return listener.Addr().String(), nil
}

func (p *provider) close() error {
	var errs []error
	for _, door := range p.doors {
		errs = append(errs, door.Close())
	}
	return errors.Join(errs...)
}

// mood makes a provider misbehave as the action says, until calm.
func (p *provider) mood(a action) error {
	rule := sandbox.Rule{Name: moodName(a), Provider: a.target, Effect: sandbox.Status}
	switch a.kind {
	case throttles:
		rule.Status, rule.RetryAfter = http.StatusTooManyRequests, time.Second
	case errs:
		rule.Status = http.StatusServiceUnavailable
	case forgets:
		rule.Status, rule.Stored = http.StatusServiceUnavailable, true
	case refusesKey:
		rule.Status = http.StatusUnauthorized
	case hangs:
		rule.Effect, rule.Delay = sandbox.Hang, a.amount
	}
	return p.sandbox.AddRules(rule)
}

func (p *provider) calm(a action) { p.sandbox.RemoveRule(moodName(a)) }

func moodName(a action) string { return "mood of " + a.target }

// providerOf reads the provider from a request's path.
func providerOf(path string) string {
	switch {
	case strings.HasPrefix(path, sandbox.CleverTapPath+"/"):
		return event.CleverTap
	case strings.HasPrefix(path, sandbox.CourierPath+"/"):
		return event.Courier
	}
	return ""
}

// records are what was accepted and refused, by provider.
func (p *provider) records() (accepted, refused map[string][]sandbox.Record) {
	accepted, refused = map[string][]sandbox.Record{}, map[string][]sandbox.Record{}
	for _, provider := range event.Providers() {
		accepted[provider], refused[provider] = p.sandbox.Accepted(provider), p.sandbox.Refused(provider)
	}
	return accepted, refused
}
