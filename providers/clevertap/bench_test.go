package clevertap_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/clevertap"
)

// hundred is a full call: the usual event, a FCM token.
func hundred() []*event.Event {
	events := make([]*event.Event, 100)
	for i := range events {
		events[i] = &event.Event{Token: fmt.Sprintf("%s%03d", longToken, i), Type: "fcm", ObjectID: "__gc4grg4053N1eYkW6OBH71jhFev7b1iP"}
	}
	return events
}

func benchClient(b *testing.B, body string) *clevertap.Client {
	c, err := clevertap.New(clevertap.Settings{AccountID: accountID, Passcode: passcode, Transport: answering(200, body)})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkPrepare prepares a hundred records.
func BenchmarkPrepare(b *testing.B) {
	c, events := benchClient(b, ""), hundred()
	b.ReportAllocs()
	for b.Loop() {
		prepare(b, c, events...)
	}
}

// BenchmarkCall makes calls of a hundred records without a network.
func BenchmarkCall(b *testing.B) {
	c := benchClient(b, `{"status":"success","processed":100,"unprocessed":[]}`)
	records := prepare(b, c, hundred()...)
	b.ReportAllocs()
	for b.Loop() {
		if a := c.Call(context.Background(), records); a.Result != providers.OK {
			b.Fatalf("got %+v", a)
		}
	}
}

// BenchmarkAllRefused reads an answer that refuses each of a hundred records.
func BenchmarkAllRefused(b *testing.B) {
	body := `{"status":"fail","processed":0,"unprocessed":[`
	for i, e := range hundred() {
		if i > 0 {
			body += ","
		}
		body += fail("531", fmt.Sprintf("Token %s is invalid. Skipped record number : %d", e.Token, i+1), `"`+e.Token+`"`, `"`+e.ObjectID+`"`)
	}
	c := benchClient(b, body+"]}")
	records := prepare(b, c, hundred()...)
	b.ReportAllocs()
	for b.Loop() {
		if a := c.Call(context.Background(), records); len(a.Refusals) != 100 {
			b.Fatalf("got %+v", a)
		}
	}
}
