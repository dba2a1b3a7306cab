// Package event is the token-registration event: what apps publish when a
// user logs in. It knows how an event is read, which fields it has, what each
// of them allows, and which provider an event is addressed to.
//
// It refuses to know brokers, HTTP and how a provider writes a record; it
// imports nothing of ours and owns no goroutine.
package event

import (
	"fmt"

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
}

// Keys are the web push keys of a Chrome subscription, base64 or base64url.
type Keys struct {
	P256dh string `json:"p256dh,omitzero"`
	Auth   string `json:"auth,omitzero"`
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

// Tracking tells Courier where the device was; every field is optional.
type Tracking struct {
	OSVersion string `json:"os_version,omitzero"`
	IP        string `json:"ip,omitzero"`
	Lat       string `json:"lat,omitzero"`
	Long      string `json:"long,omitzero"`
}

// Violation is why an event is no event: the field, by its JSON name (with a
// dot for nested ones, "event" for the whole), and what is wrong with it. It
// never quotes the value: that may be personal data.
type Violation struct {
	Field   string
	Problem string
}

func (v *Violation) Error() string { return fmt.Sprintf("%s: %s", v.Field, v.Problem) }
