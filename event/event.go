// Package event is the token-registration event: what apps publish when a
// user logs in. It knows how an event is read, which fields it has, what each
// of them allows, and which provider an event is addressed to.
//
// It refuses to know brokers, HTTP and how a provider writes a record; it
// imports nothing of ours and owns no goroutine.
package event

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxBytes is the size of the largest event, headers not counted. The stream
// refuses larger messages to their publisher.
const MaxBytes = 64 << 10

// The providers an event can be addressed to, as `destinations` names them.
const (
	CleverTap = "clevertap"
	Courier   = "courier"
)

// Event is one registration of a push token. The zero value of a field means
// that the event does not carry it.
type Event struct {
	ID           string         `json:"id,omitzero"`
	UserID       string         `json:"user_id,omitzero"`
	ObjectID     string         `json:"object_id,omitzero"`
	Token        string         `json:"token,omitzero"`
	Type         string         `json:"type,omitzero"`
	Keys         *Keys          `json:"keys,omitzero"`
	ProviderKey  string         `json:"provider_key,omitzero"`
	Device       *Device        `json:"device,omitzero"`
	Tracking     *Tracking      `json:"tracking,omitzero"`
	Properties   jsontext.Value `json:"properties,omitzero"`  // a JSON object, passed on as it came
	ExpiryDate   jsontext.Value `json:"expiry_date,omitzero"` // a JSON string or false, passed on as it came
	Destinations []string       `json:"destinations,omitzero"`
	RegisteredAt string         `json:"registered_at,omitzero"` // RFC 3339

	// blank names the fields that came as an empty string: they are carried,
	// though their value looks like an absent one's. Decode alone sets it.
	blank []string
}

// text is the string field of that JSON name, and the name itself; nil when
// no string field has it.
func (e *Event) text(name []byte) (string, *string) {
	switch string(name) {
	case "id":
		return "id", &e.ID
	case "user_id":
		return "user_id", &e.UserID
	case "object_id":
		return "object_id", &e.ObjectID
	case "token":
		return "token", &e.Token
	case "type":
		return "type", &e.Type
	case "provider_key":
		return "provider_key", &e.ProviderKey
	case "registered_at":
		return "registered_at", &e.RegisteredAt
	}
	return "", nil
}

// carries reports whether the event has the string field, be it empty.
func (e *Event) carries(name string) bool {
	_, value := e.text([]byte(name))
	return *value != "" || slices.Contains(e.blank, name)
}

// Registered is registered_at as a time; false when the event does not carry
// it (or when it is no RFC 3339 time, which Decode refuses).
func (e *Event) Registered() (time.Time, bool) {
	s := strings.ToUpper(e.RegisteredAt) // RFC 3339 allows "t" and "z"
	t, err := time.Parse(time.RFC3339, s)
	// What time.Parse takes and RFC 3339 has not: an hour of one digit, a
	// comma, an offset of 24 hours.
	if err != nil || s[13] != ':' || strings.Contains(s, ",") {
		return time.Time{}, false
	}
	if zone := s[len(s)-6:]; !strings.HasSuffix(s, "Z") && (zone[1:3] > "23" || zone[4:] > "59") {
		return time.Time{}, false
	}
	return t, true
}

// Keys are the web push keys of a Chrome subscription, base64 or base64url.
type Keys struct {
	P256dh string `json:"p256dh,omitzero"`
	Auth   string `json:"auth,omitzero"`
}

func (k *Keys) text(name []byte) (string, *string) {
	switch string(name) {
	case "p256dh":
		return "keys.p256dh", &k.P256dh
	case "auth":
		return "keys.auth", &k.Auth
	}
	return "", nil
}

// Device tells Courier about the device; every field is optional.
type Device struct {
	AppID        string `json:"app_id,omitzero"`
	AdID         string `json:"ad_id,omitzero"`
	DeviceID     string `json:"device_id,omitzero"`
	Platform     string `json:"platform,omitzero"`
	Manufacturer string `json:"manufacturer,omitzero"`
	Model        string `json:"model,omitzero"`
}

func (dev *Device) text(name []byte) (string, *string) {
	switch string(name) {
	case "app_id":
		return "device.app_id", &dev.AppID
	case "ad_id":
		return "device.ad_id", &dev.AdID
	case "device_id":
		return "device.device_id", &dev.DeviceID
	case "platform":
		return "device.platform", &dev.Platform
	case "manufacturer":
		return "device.manufacturer", &dev.Manufacturer
	case "model":
		return "device.model", &dev.Model
	}
	return "", nil
}

// Tracking tells Courier where the device was; every field is optional.
type Tracking struct {
	OSVersion string `json:"os_version,omitzero"`
	IP        string `json:"ip,omitzero"`
	Lat       string `json:"lat,omitzero"`
	Long      string `json:"long,omitzero"`
}

func (t *Tracking) text(name []byte) (string, *string) {
	switch string(name) {
	case "os_version":
		return "tracking.os_version", &t.OSVersion
	case "ip":
		return "tracking.ip", &t.IP
	case "lat":
		return "tracking.lat", &t.Lat
	case "long":
		return "tracking.long", &t.Long
	}
	return "", nil
}

// Violation is why an event is no event: the field, by its JSON name (with a
// dot for nested ones, "event" for the whole), and what is wrong with it. It
// never quotes the value: that may be personal data.
type Violation struct {
	Field   string
	Problem string
}

func (v *Violation) Error() string { return fmt.Sprintf("%s: %s", v.Field, v.Problem) }
