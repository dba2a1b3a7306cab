package courier_test

import (
	"context"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/courier"
)

func sample() *event.Event {
	return &event.Event{
		UserID: "user-1234", Token: "dYfuuBmHLGI:APA91bEfAq1b6NAmz0uhUbVxwSLqgKF25zDb7vhgajzS-bOAEUKekH_jbzO5oU1Qip", Type: "fcm",
		Device: &event.Device{AppID: "com.example.app", Platform: "android", Manufacturer: "Samsung", Model: "SM-G930F"},
	}
}

// BenchmarkPrepare prepares one record.
func BenchmarkPrepare(b *testing.B) {
	c, err := courier.New(courier.Settings{APIKey: apiKey, BodyToken: true})
	if err != nil {
		b.Fatal(err)
	}
	e := sample()
	b.ReportAllocs()
	for b.Loop() {
		prepare(b, c, e)
	}
}

// BenchmarkCall makes calls without a network.
func BenchmarkCall(b *testing.B) {
	c, err := courier.New(courier.Settings{APIKey: apiKey, BodyToken: true, Transport: answering(204, "")})
	if err != nil {
		b.Fatal(err)
	}
	records := prepare(b, c, sample())
	b.ReportAllocs()
	for b.Loop() {
		if a := c.Call(context.Background(), records); a.Result != providers.OK {
			b.Fatalf("got %+v", a)
		}
	}
}
