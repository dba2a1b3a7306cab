package dlq_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
)

func TestLook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	look := func(provider string) dlq.Stock {
		t.Helper()
		stock, err := dlq.Look(t.Context(), w.js, provider)
		if err != nil {
			t.Fatal(err)
		}
		return stock
	}
	stream, err := w.js.Stream(t.Context(), dlq.Stream)
	if err != nil {
		t.Fatal(err)
	}
	stored := func(seq uint64) time.Time {
		t.Helper()
		message, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		return message.Time
	}

	if got := look("courier"); got != (dlq.Stock{MaxAge: consumer.DefaultLettersMaxAge}) {
		t.Errorf("%+v of no letters", got)
	}
	w.put(dlq.Letter{Provider: "clevertap", Code: "531"}, dlq.Letter{Code: "http_400"}, dlq.Letter{Code: "expired"}, dlq.Letter{Provider: "clevertap", Code: "534"})
	if got := look("courier"); got.Letters != 2 || !got.Oldest.Equal(stored(2)) {
		t.Errorf("%+v, want 2 letters, the oldest of %s", got, stored(2))
	}
	if got := look("clevertap"); got.Letters != 2 || !got.Oldest.Equal(stored(1)) {
		t.Errorf("%+v, want 2 letters, the oldest of %s", got, stored(1))
	}
	for _, seq := range []uint64{1, 2} { // now another is the oldest, of another code
		if err := stream.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	if got := look("courier"); got.Letters != 1 || !got.Oldest.Equal(stored(3)) {
		t.Errorf("%+v, want 1 letter of %s", got, stored(3))
	}
	if err := w.js.DeleteStream(t.Context(), dlq.Stream); err != nil {
		t.Fatal(err)
	}
	if _, err := dlq.Look(t.Context(), w.js, "courier"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("without a stream: %v", err)
	}
}
