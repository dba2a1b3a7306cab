package event_test

import (
	"fmt"
	"log"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
)

// What an app does on login: build, ask whether a provider would refuse it,
// encode.
func ExampleEvent_Validate() {
	e := event.Event{
		Token:      "ABW7HO9Y7XAQXZ7Y",
		Type:       "fcm",
		UserID:     "user-1234",
		Device:     &event.Device{Platform: "android"},
		Properties: []byte(`{"is_person":true}`),
		ExpiryDate: event.Expires(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)),
	}
	if err := e.Validate(); err != nil {
		log.Fatal(err)
	}
	data, err := e.Encode()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(data))

	e.Token = ".."
	fmt.Println(e.Validate())
	// Output:
	// {"user_id":"user-1234","token":"ABW7HO9Y7XAQXZ7Y","type":"fcm","device":{"platform":"android"},"properties":{"is_person":true},"expiry_date":"2030-01-01T00:00:00Z"}
	// token: a path segment of dots; anything but "." and ".." is allowed
}

// An event can be wrong for one provider and right for another.
func ExampleEvent_Route() {
	e, err := event.Decode([]byte(`{"token":"ABW7HO9Y7XAQXZ7Y","type":"chrome","provider_key":"firebase-fcm","object_id":"o","user_id":"u"}`))
	if err != nil {
		log.Fatal(err)
	}
	for _, provider := range event.Providers() {
		route, err := e.Route(provider)
		fmt.Println(provider, route, err)
	}
	// Output:
	// clevertap skip keys: absent; clevertap requires it when type is chrome
	// courier deliver <nil>
}
