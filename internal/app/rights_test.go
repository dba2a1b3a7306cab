package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// violation is what the client tells of a refusal.
func violation(what, subject string) error {
	return fmt.Errorf("%w: Permissions Violation for %s to %q", nats.ErrPermissionViolation, what, subject)
}

func TestRefusalNamesTheRight(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{
		"$JS.API.INFO":                                           "publish to $JS.API.INFO",
		"$JS.API.STREAM.INFO.TOKENS":                             "publish to $JS.API.STREAM.INFO.TOKENS",
		"$JS.API.CONSUMER.INFO.TOKENS.courier":                   "publish to $JS.API.CONSUMER.INFO.TOKENS.>",
		"$JS.API.CONSUMER.CREATE.KV_TOKENS_FLEET.x7.$KV.FLEET.>": "publish to $JS.API.CONSUMER.CREATE.KV_TOKENS_FLEET.>",
		"$JS.API.CONSUMER.MSG.NEXT.TOKENS.courier":               "publish to $JS.API.CONSUMER.MSG.NEXT.TOKENS.>",
		"$JS.API.STREAM.MSG.GET.KV_TOKENS_FLEET":                 "publish to $JS.API.STREAM.MSG.GET.KV_TOKENS_FLEET",
		"$JS.ACK.TOKENS.courier.1.24.13.1764000000000000000.0":   "publish to $JS.ACK.TOKENS.>",
		"$KV.TOKENS_FLEET.permits.clevertap.0":                   "publish to $KV.TOKENS_FLEET.>",
		"tokens.dlq.courier.http_400":                            "publish to tokens.dlq.>",
		"_INBOX.GkJ1aaaaaaaaaaaaaaaaaa.x":                        "publish to _INBOX.>",
		"tokenrelay.permits.clevertap.lend":                      "publish to tokenrelay.permits.clevertap.lend",
	} {
		refused := refusalOf(violation("Publish", subject))
		if refused == nil || refused.String() != want || !errors.Is(refused, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v, want %s", subject, refused, want)
		}
	}
	refused := refusalOf(violation("Subscription", "_INBOX.GkJ1.*"))
	const want = `the NATS user may not subscribe to _INBOX.>: grant it that right (docs/operations.md, "The broker's rights")`
	if refused == nil || refused.Error() != want {
		t.Errorf("%v, want %s", refused, want)
	}
	if refused := refusalOf(nats.ErrSlowConsumer); refused != nil {
		t.Errorf("a slow consumer lacks no right: %v", refused)
	}
}

// A refusal ends the questions that may have met it, and they say so.
func TestRefusalEndsTheQuestion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		heard error
		ended bool
	}{
		"the API":  {violation("Publish", "$JS.API.STREAM.INFO.TOKENS"), true},
		"a pull":   {violation("Publish", "$JS.API.CONSUMER.MSG.NEXT.TOKENS.courier"), false},
		"a letter": {violation("Publish", "tokens.dlq.courier.530"), false},
		"a reply":  {violation("Subscription", "_INBOX.x.*"), true},
		"no right": {nats.ErrSlowConsumer, false},
		"advisory": {violation("Subscription", "$JS.EVENT.ADVISORY.STREAM.*.TOKENS"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRights(slog.New(slog.DiscardHandler))
				_, err := ask(t.Context(), r, func(ctx context.Context) (int, error) {
					go r.hear(nil, c.heard)
					select {
					case <-ctx.Done():
					case <-time.After(time.Hour):
					}
					return 0, context.DeadlineExceeded // all that a client can tell
				})
				_, refused := errors.AsType[*refusal](err)
				if refused != c.ended {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	other := errors.New("stream TOKENS: retention is workqueue")
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"off":           {fmt.Errorf("stream TOKENS: %w", nats.ErrNoResponders), "nobody answers for JetStream: is it enabled on the NATS server"},
		"off, it says":  {&jetstream.APIError{Code: 503, ErrorCode: jetstream.JSErrCodeJetStreamNotEnabled}, "nobody answers for JetStream"},
		"not this user": {&jetstream.APIError{Code: 503, ErrorCode: jetstream.JSErrCodeJetStreamNotEnabledForAccount}, "JetStream is not enabled for the account"},
		"another":       {other, other.Error()},
	} {
		got := explain(t.Context(), c.err)
		if !strings.HasPrefix(got.Error(), c.want) || !errors.Is(got, c.err) {
			t.Errorf("%s: %v, want %s…", name, got, c.want)
		}
	}
}

// lineCounter counts the lines of a log.
type lineCounter struct{ lines int }

func (c *lineCounter) Write(p []byte) (int, error) {
	c.lines++
	return len(p), nil
}

// Each of an hour's refusals, one a second, is no line of its own.
func TestRemindersGrowRare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var count lineCounter
		r := newRights(slog.New(slog.NewTextHandler(&count, nil)))
		for i := range 3600 {
			if !r.hear(nil, violation("Publish", fmt.Sprintf("$JS.ACK.TOKENS.courier.1.%d.1.1.0", i))) {
				t.Fatal("no refusal")
			}
			time.Sleep(time.Second)
		}
		if count.lines < 10 || count.lines > 65 {
			t.Errorf("%d lines about one right in an hour, want one a minute", count.lines)
		}
	})
}
