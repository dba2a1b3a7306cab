package rights_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/internal/rights"
)

// violation is what the client tells of a refusal.
func violation(what, subject string) error {
	return fmt.Errorf("%w: Permissions Violation for %s to %q", nats.ErrPermissionViolation, what, subject)
}

func TestRefusalNamesTheRight(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{
		"$JS.API.INFO":                                              "publish to $JS.API.INFO",
		"$JS.API.STREAM.INFO.TOKENS":                                "publish to $JS.API.STREAM.INFO.TOKENS",
		"$JS.API.CONSUMER.INFO.TOKENS.courier":                      "publish to $JS.API.CONSUMER.INFO.TOKENS.>",
		"$JS.API.CONSUMER.CREATE.KV_TOKENS_FLEET.x7.$KV.FLEET.>":    "publish to $JS.API.CONSUMER.CREATE.KV_TOKENS_FLEET.>",
		"$JS.API.CONSUMER.MSG.NEXT.TOKENS.courier":                  "publish to $JS.API.CONSUMER.MSG.NEXT.TOKENS.>",
		"$JS.API.STREAM.MSG.GET.KV_TOKENS_FLEET":                    "publish to $JS.API.STREAM.MSG.GET.KV_TOKENS_FLEET",
		"$JS.ACK.TOKENS.courier.1.24.13.1764000000000000000.0":      "publish to $JS.ACK.TOKENS.>",
		"$KV.TOKENS_FLEET.permits.clevertap.0":                      "publish to $KV.TOKENS_FLEET.>",
		"tokens.dlq.courier.http_400":                               "publish to tokens.dlq.>",
		"$JS.API.DIRECT.GET.TOKENS_DLQ.tokens.dlq.courier.http_400": "publish to $JS.API.DIRECT.GET.TOKENS_DLQ.>",
		"_INBOX.GkJ1aaaaaaaaaaaaaaaaaa.x":                           "publish to _INBOX.>",
		"tokenrelay.permits.clevertap.lend":                         "publish to tokenrelay.permits.clevertap.lend",
	} {
		refused := rights.RefusalOf(violation("Publish", subject))
		if refused == nil || refused.String() != want || !errors.Is(refused, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v, want %s", subject, refused, want)
		}
	}
	refused := rights.RefusalOf(violation("Subscription", "_INBOX.GkJ1.*"))
	const want = `the NATS user may not subscribe to _INBOX.>: grant it that right (docs/operations.md, "The broker's rights")`
	if refused == nil || refused.Error() != want {
		t.Errorf("%v, want %s", refused, want)
	}
	if refused := rights.RefusalOf(nats.ErrSlowConsumer); refused != nil {
		t.Errorf("a slow consumer lacks no right: %v", refused)
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
		got := rights.Explain(c.err)
		if !strings.HasPrefix(got.Error(), c.want) || !errors.Is(got, c.err) {
			t.Errorf("%s: %v, want %s…", name, got, c.want)
		}
	}
}
