package main

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/dlq"
)

const secretToken = "dYfuuBmHLGI:APA91bG-a-very-secret-token"

// filled is a world with some letters of both providers.
func filled(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	long := strings.ReplaceAll(registration("ann"), `"token":"ann"`, `"token":"`+secretToken+`"`)
	w.Die(
		dlq.Letter{Provider: "clevertap", Code: "531", Reason: "CleverTap: 531: Invalid token. Skipped record number : 4", Body: []byte(long), FailedAt: time.Now().Add(-3 * time.Hour),
			Header: nats.Header{"Nats-Msg-Id": {"ann-login"}, "App": {"shop"}}, Status: 200},
		dlq.Letter{Provider: "clevertap", Code: "531", Reason: "CleverTap: 531: Invalid token. Skipped record number : 9", Body: []byte(registration("bob")), FailedAt: time.Now().Add(-time.Hour)},
		dlq.Letter{Provider: "courier", Code: "http_400", Reason: "Courier: HTTP 400: no \x1b[31msuch key", Body: []byte(registration("cyd"))},
		dlq.Letter{Provider: "courier", Code: "invalid_event", Reason: "token: absent; it is required", Body: []byte(`{"user_id":"dan"}`)},
	)
	return w
}

func TestList(t *testing.T) {
	t.Parallel()
	w := filled(t)
	done := w.dlq("", "list")
	done.want(t, 0, "PROVIDER", "http_400", "dYfuuB…#", "invalid_event")
	done.lacks(t, secretToken, "user-ann", "\x1b", "bob")
	lines := strings.Split(strings.TrimSpace(done.out), "\n")
	if len(lines) != 5 || !strings.Contains(lines[1], "invalid_event") || !strings.Contains(lines[4], "number : 4") {
		t.Errorf("not the newest first:\n%s", done.out)
	}

	w.dlq("", "list", "--reveal").want(t, 0, secretToken, "bob")
	short := w.dlq("", "list", "--limit", "1")
	short.want(t, 0, "invalid_event", "the newest 1")
	short.lacks(t, "http_400")
	w.dlq("", "list", "--code", "999").want(t, 0, "no letters that match")

	asJSON := w.dlq("", "list", "--json", "--provider", "clevertap")
	asJSON.want(t, 0, `"code":"531"`, `"generation":0`, `"http_status":200`)
	asJSON.lacks(t, secretToken, "object-ann")
	if strings.Count(asJSON.out, "\n") != 2 {
		t.Errorf("%s", asJSON.out)
	}
	w.dlq("", "list", "--json", "--reveal").want(t, 0, `"token":"`+secretToken+`"`, `"object_id":"object-ann"`)
}

// The same filters choose the same letters, whatever the verb.
func TestFilters(t *testing.T) {
	t.Parallel()
	w := filled(t)
	for name, c := range map[string]struct {
		input string
		args  []string
		want  int
	}{
		"provider":             {"", []string{"--provider", "courier"}, 2},
		"code":                 {"", []string{"--code=531"}, 2},
		"reason":               {"", []string{"--reason", "number : 9"}, 1},
		"reason of the group":  {"", []string{"--reason", "number : #"}, 2},
		"since":                {"", []string{"--since", "2h"}, 3},
		"until":                {"", []string{"--until", "2h"}, 1},
		"since and until":      {"", []string{"--since", "1d", "--until", time.Now().Add(-30 * time.Minute).Format(time.RFC3339)}, 2},
		"generation":           {"", []string{"--generation", "1+"}, 0},
		"token":                {secretToken + "\n", []string{"--token", "-"}, 1},
		"user":                 {"user-bob", []string{"--user=-"}, 1},
		"user, no valid event": {"dan\r\n", []string{"--user=-"}, 1},
		"user and object":      {"user-bob\nobject-bob\n", []string{"--user=-", "--object=-"}, 1},
		"user, another object": {"user-bob\nobject-ann\n", []string{"--user=-", "--object=-"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := w.dlq(c.input, append([]string{"list", "--json"}, c.args...)...)
			done.want(t, 0)
			if got := strings.Count(done.out, "\n"); got != c.want {
				t.Errorf("%d letters, want %d\n%s", got, c.want, done.out)
			}
		})
	}
}

func TestGroupsSayWhatHelps(t *testing.T) {
	t.Parallel()
	w := filled(t)
	done := w.dlq("", "groups")
	done.want(t, 0, "4 letters in 3 groups", "2  ███", "Skipped record number : #", "never: 2", "invalid token data", "the app registers anew",
		"names the field", "dlq show courier:", "(3h ago)")
	done.lacks(t, "\x1b")
	w.dlq("", "groups", "--json", "--code", "531").want(t, 0, `"count":2`, `"cure":"`, `"generations":{"0":2}`)
	w.dlq("", "groups", "--limit", "1").want(t, 0, "1 letter in 1 group")
	w.dlq("", "groups", "--code", "999").want(t, 0, "no letters that match")
}

func TestShow(t *testing.T) {
	t.Parallel()
	w := filled(t)
	letter := w.letters()[0]
	done := w.dlq("", "show", letter.ID)
	done.want(t, 0, letter.ID, "CleverTap: invalid token data.", "HTTP status  200", "died of 531", "never", "(3h ago)",
		`"type": "fcm"`, `"token": "dYfuuB…#`, "App: #", "Dlq-Original-Nats-Msg-Id: #", "--reveal shows them")
	done.lacks(t, secretToken, "user-ann", "ann-login", "shop")
	w.dlq("", "show", "--reveal", letter.ID).want(t, 0, secretToken, "user-ann", "ann-login", "App: shop")
	w.dlq("", "show", "clevertap:1:2").want(t, 1, "no letter has the id")

	w.Die(dlq.Letter{Provider: "clevertap", Code: "534", OriginSeq: 99, Replayed: true, Body: []byte(registration("ann")), Header: nats.Header{
		dlq.HeaderID: {letter.ID}, dlq.HeaderGeneration: {"2"}, dlq.HeaderTrials: {"1"}, dlq.HeaderFirstFailedAt: {letter.Header.Get(dlq.HeaderFirstFailedAt)},
		dlq.HeaderHistory: {`[{"code":"531","at":"2026-01-31T12:00:00Z","edited":["type"]}]`}}})
	w.dlq("", "show", letter.ID).want(t, 0, "once, and once since as a trial", "then changed: type", "died of 534", "first died", "2 letters of this id")
}

// What is wrong is one line each, and says what is allowed; nothing personal
// is repeated.
func TestWrongUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for line, args := range map[string][]string{
		`--code is "5 3", must be a code`:           {"list", "--code", "5 3"},
		`--since is "yesterday", must be a time`:    {"list", "--since", "yesterday"},
		`--until is "-3h", must be a time`:          {"groups", "--until=-3h"},
		`--generation is "x", must be a number`:     {"groups", "--generation", "x"},
		`--provider is "pigeon", must be one of`:    {"list", "--provider", "pigeon"},
		`--token is a value (not shown), must be -`: {"list", "--token", "secret-token"},
		`--user is a value (not shown), must be -`:  {"list", "--user", "secret-user"},
		`--limit is "-1", must be a whole number`:   {"list", "--limit", "-1"},
		`--max-fail is "-2", must be a whole`:       {"replay", "--all", "--max-fail=-2"},
		`--until is "-5m", must be a time`:          {"list", "--until", "-5m"},
		`--limit is without a value`:                {"list", "--limit", "--json"},
		`<id> is not set`:                           {"show"},
		`unexpected argument`:                       {"list", "more"},
		`unknown flag --tokn`:                       {"list", "--tokn"},
	} {
		done := w.dlq("", args...)
		done.want(t, 2, line)
		done.lacks(t, "secret")
		if done.out != "" || strings.Count(done.errors, "\n") != 1 {
			t.Errorf("%q: %q and %q", args, done.out, done.errors)
		}
	}
	w.dlq("", "list", "--user", "-").want(t, 1, "dlq: standard input: no user_id in it\n")
}

func TestWithoutStreamOrBroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.Broker.JS.DeleteStream(t.Context(), dlq.Stream); err != nil {
		t.Fatal(err)
	}
	check := func(words ...string) {
		t.Helper()
		for _, args := range [][]string{{"list"}, {"groups"}, {"show", "x"}} {
			done := w.dlq("user\n", args...)
			done.want(t, 1, words...)
			if done.out != "" || strings.Count(done.errors, "\n") != 1 || !strings.HasPrefix(done.errors, "dlq: ") {
				t.Errorf("%q: %q and %q", args, done.out, done.errors)
			}
		}
	}
	check("dead-letter stream TOKENS_DLQ is missing")
	w.Broker.Stop()
	check("NATS_URL", "connection refused")
	w.Set("NATS_URL=")
	w.dlq("", "list").want(t, 2, "NATS_URL is not set")
}
