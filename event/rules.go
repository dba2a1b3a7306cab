package event

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxToken = 4096 // bytes
	maxText  = 512  // bytes; user_id, object_id and provider_key
)

// Types lists what `type` may be: the words of CleverTap's tokenData.type.
func Types() []string { return []string{"fcm", "apns", "gcm", "wns", "mpns", "chrome"} }

// check judges the values that every provider depends on.
func (e *Event) check() *Violation {
	if !e.carries("token") {
		return &Violation{"token", "absent; it is required"}
	}
	if v := checkToken(e.Token); v != nil {
		return v
	}
	if e.carries("type") && !slices.Contains(Types(), e.Type) {
		return &Violation{"type", "an unknown word; fcm, apns, gcm, wns, mpns and chrome are allowed"}
	}
	if e.carries("registered_at") {
		if _, ok := e.Registered(); !ok {
			return &Violation{"registered_at", "a string that is no time; RFC 3339 as in 2030-01-31T12:00:00Z is allowed"}
		}
	}
	return checkDestinations(e.Destinations)
}

func checkDestinations(names []string) *Violation {
	for i, name := range names {
		if name != CleverTap && name != Courier {
			return &Violation{"destinations", fmt.Sprintf("entry %d is an unknown word; clevertap and courier are allowed", i+1)}
		}
	}
	return nil
}

// checkToken treats the token as opaque: push services promise no alphabet
// and no length. The rest is what a path segment and a header can bear.
func checkToken(token string) *Violation {
	if v := checkSize("token", token, maxToken); v != nil {
		return v
	}
	switch space, control := scan(token); {
	case control:
		return &Violation{"token", controlled}
	case space:
		return &Violation{"token", "white space in it; none is allowed"}
	case isDots(token):
		return &Violation{"token", dots}
	}
	return nil
}

// checkIdentity judges user_id and object_id.
func checkIdentity(field, value string, carried bool, provider string) *Violation {
	if !carried {
		return &Violation{field, "absent; " + provider + " requires it"}
	}
	return checkText(field, value)
}

// checkText judges identities and provider keys.
func checkText(field, value string) *Violation {
	if v := checkSize(field, value, maxText); v != nil {
		return v
	}
	if _, control := scan(value); control {
		return &Violation{field, controlled}
	}
	return nil
}

func checkSize(field, value string, limit int) *Violation {
	switch {
	case value == "":
		return &Violation{field, fmt.Sprintf("empty; 1 to %d bytes are required", limit)}
	case len(value) > limit:
		return &Violation{field, fmt.Sprintf("%d bytes; 1 to %d are allowed", len(value), limit)}
	}
	return nil
}

// scan tells whether there is white space or a control character in s. It
// walks bytes as long as they are ASCII: every event passes here.
func scan(s string) (space, control bool) {
	for i := range len(s) {
		c := s[i]
		if '!' <= c && c <= '~' {
			continue
		}
		if c >= utf8.RuneSelf {
			return strings.ContainsFunc(s, unicode.IsSpace), strings.ContainsFunc(s, unicode.IsControl)
		}
		space = space || c == ' '
		control = control || c != ' '
	}
	return space, control
}

const controlled = "a control character in it; none is allowed"

const dots = `a path segment of dots; anything but "." and ".." is allowed`

// isDots reports a text that URL cleaning would eat as a path segment.
func isDots(s string) bool { return s == "." || s == ".." }

// checkKeys judges the sizes of web push keys: an uncompressed P-256 point
// and a secret (RFC 8291, section 2). It does not ask whether the point is on
// the curve: the one in CleverTap's own example is not.
func checkKeys(k *Keys) *Violation {
	if k == nil {
		return &Violation{"keys", "absent; clevertap requires it when type is chrome"}
	}
	point, v := decodeKey("keys.p256dh", k.P256dh, 65)
	if v != nil {
		return v
	}
	if point[0] != 0x04 {
		return &Violation{"keys.p256dh", "no uncompressed point; a first byte of 0x04 is required"}
	}
	_, v = decodeKey("keys.auth", k.Auth, 16)
	return v
}

func decodeKey(field, text string, size int) ([]byte, *Violation) {
	if text == "" {
		return nil, &Violation{field, "absent or empty; required when type is chrome"}
	}
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	if strings.HasSuffix(text, "=") {
		encoding = encoding.WithPadding(base64.StdPadding)
	}
	key, err := encoding.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // the decoder skips line ends
		return nil, &Violation{field, fmt.Sprintf("no base64; %d bytes in base64 or base64url are allowed", size)}
	}
	if len(key) != size {
		return nil, &Violation{field, fmt.Sprintf("%d bytes once decoded; %d are required", len(key), size)}
	}
	return key, nil
}

// expiryPattern is ISO 8601 in the extended form: a date, or a date and a
// time with or without seconds, fraction and zone. The schema has the same.
const expiryPattern = `^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])` +
	`(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.,][0-9]+)?)?(Z|[+-]([01][0-9]|2[0-3])(:[0-5][0-9])?)?)?$`

var expiryForm = regexp.MustCompile(expiryPattern)

func checkExpiry(raw jsontext.Value) *Violation {
	if raw.Kind() != '"' { // absent, or false: Decode let nothing else in
		return nil
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	if err == nil && expiryForm.Match(text) {
		if _, err := time.Parse(time.DateOnly, string(text[:len(time.DateOnly)])); err == nil {
			return nil
		}
	}
	return &Violation{"expiry_date", "a string that is no date; an ISO 8601 date or date-time, or false, is allowed"}
}
