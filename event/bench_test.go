package event_test

import (
	stdjson "encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/tokenrelay/tokenrelay/event"
)

// short is what most logins publish; full uses every field.
const (
	short = `{"id":"01JD4W3Z8Q7V5N2K9R6T1X0YBM","user_id":"user-1234567","object_id":"__gc4grg4053N1eYkW6OBH71jhFev7b1iP",` +
		`"token":"dYfuuBmHLGI:APA91bEfAq1b6NAmz0uhUbVxwSLqgKF25zDb7vhgajzS-bOAEUKekH_jbzO5oU1Qip-ZLvDpwKccxAxVNjC3rUUJnFTKDUiBcF9AtuG03_PRfjoUxLKHMR9qykK22SiubrLirNzQtNnO",` +
		`"type":"fcm","registered_at":"2026-11-22T01:02:03Z"}`
	full = `{"id":"01JD4W3Z8Q7V5N2K9R6T1X0YBM","user_id":"user-1234567","object_id":"QBOpVJZmKilRAzfaiVS86Tovxm75lHxg",` +
		`"token":"frfsgvrwe:APfdsafsgdfsgghfgfgjkhfsfgdhjhbvcvnetry767456fxsasdf","type":"chrome",` +
		`"keys":{"p256dh":"BLc4xRzKlKORKWlbdgFaBrrPK3ydWAHo4M0gs0i1oEKgPpWC5cW8OCzVrOQRv-1npXRWk8udnW3oYhIO4475rds=","auth":"5I2Bu2oKdyy9CwL8QVF0NQ=="},` +
		`"provider_key":"firebase-fcm",` +
		`"device":{"app_id":"com.example.app","ad_id":"1234567890","device_id":"1234567890","platform":"android","manufacturer":"Samsung","model":"SM-G930F"},` +
		`"tracking":{"os_version":"9","ip":"192.0.2.4","lat":"1.2","long":"3.4"},` +
		`"properties":{"is_person":true,"tags":["a","b"]},"expiry_date":"2030-01-01T00:00:00.000Z",` +
		`"destinations":["clevertap","courier"],"registered_at":"2026-11-22T01:02:03.456+05:30"}`
)

// backlog is events that differ as real ones do: a decoder that remembers
// strings it saw before gains nothing.
func backlog(template string) [][]byte {
	events := make([][]byte, 1024)
	for i := range events {
		n := fmt.Sprintf("%07d", i*7919)
		events[i] = []byte(strings.NewReplacer("1234567", n, "01JD4W3Z", "01JD4"+n[4:], "__gc4grg", "__"+n[1:], "QBOpVJZ", n,
			"dYfuuBm", n, "frfsgvr", n).Replace(template))
	}
	return events
}

func BenchmarkDecode(b *testing.B) {
	for _, decoder := range []struct {
		name   string
		decode func([]byte) error
	}{
		{"Decode", func(data []byte) error { _, err := event.Decode(data); return err }},
		{"encoding-json", func(data []byte) error { return stdjson.Unmarshal(data, new(event.Event)) }},
		{"reflection", func(data []byte) error { return json.Unmarshal(data, new(event.Event)) }},
	} {
		for _, input := range []struct{ name, data string }{{"short", short}, {"full", full}} {
			events := backlog(input.data)
			b.Run(input.name+"/"+decoder.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(input.data)))
				for i := 0; b.Loop(); i++ {
					if err := decoder.decode(events[i%len(events)]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	for _, input := range []struct{ name, data string }{{"short", short}, {"full", full}} {
		e, err := event.Decode([]byte(input.data))
		if err != nil {
			b.Fatal(err)
		}
		for _, provider := range event.Providers() {
			b.Run(input.name+"/"+provider, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if route, err := e.Route(provider); route != event.Deliver {
						b.Fatal(route, err)
					}
				}
			})
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	e, err := event.Decode([]byte(full))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}
