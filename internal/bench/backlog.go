package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"

	"github.com/tokenrelay/tokenrelay/event"
)

// sample is event i of the backlog: what a login on Android usually publishes,
// for both providers. Its token begins with i, so that the provider can tell
// which ones it has seen.
func sample(i int) event.Event {
	random := rand.New(rand.NewPCG(uint64(i), 1))
	return event.Event{
		ID:       "login-" + text(random, 16),
		UserID:   fmt.Sprintf("user-%08d", i),
		ObjectID: "__g" + text(random, 24),
		Token:    fmt.Sprintf("%0*d%s:APA91b%s", indexDigits, i, text(random, 9), text(random, 100)),
		Type:     "fcm",
		Device: &event.Device{
			AppID: "com.example.app", DeviceID: text(random, 12), Platform: "android", Manufacturer: "Samsung", Model: "SM-G930F",
		},
		RegisteredAt: "2026-11-22T01:02:03Z",
	}
}

// text is base64url of n random bytes: tokens do not compress.
func text(random *rand.Rand, n int) string {
	raw := make([]byte, n)
	for i := range raw {
		raw[i] = byte(random.Uint32())
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

const indexDigits = 10

// index reads i from the beginning of a sample's token.
func index(token []byte) (int, bool) {
	if len(token) < indexDigits {
		return 0, false
	}
	i := 0
	for _, c := range token[:indexDigits] {
		if c < '0' || c > '9' {
			return 0, false
		}
		i = i*10 + int(c-'0')
	}
	return i, true
}
