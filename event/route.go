package event

import (
	"fmt"
	"slices"
)

// Route says what a provider has to do with an event.
type Route int

// The two routes. An event that is wrong for a provider has none: Route then
// returns a *Violation.
const (
	Skip    Route = iota // not addressed to this provider
	Deliver              // addressed, and everything this provider requires is there
)

func (r Route) String() string {
	switch r {
	case Skip:
		return "skip"
	case Deliver:
		return "deliver"
	}
	return fmt.Sprintf("Route(%d)", int(r))
}

// Providers lists the names that `destinations` may hold.
func Providers() []string { return []string{CleverTap, Courier} }

// Route tells whether the event is addressed to provider. The error is a
// *Violation: the event is invalid at this provider. What is wrong for
// another provider alone does not count here.
//
// Without destinations every provider is addressed whose identity the event
// carries; Courier only when a provider_key is given or can be derived.
func (e *Event) Route(provider string) (Route, error) {
	if len(e.Destinations) > 0 {
		if v := checkDestinations(e.Destinations); v != nil {
			return Skip, v
		}
		if !slices.Contains(e.Destinations, provider) {
			return Skip, nil
		}
		return e.RouteOnly(provider)
	}

	clevertap := e.carries("object_id")
	courier := e.carries("user_id") && e.hasCourierKey()
	switch {
	case !clevertap && !courier:
		return Skip, e.nobody()
	case provider == CleverTap && !clevertap, provider == Courier && !courier:
		return Skip, nil
	}
	return e.RouteOnly(provider)
}

// RouteOnly is Route as if destinations were exactly provider: for a message
// on that provider's own subject.
func (e *Event) RouteOnly(provider string) (Route, error) {
	var v *Violation
	switch provider {
	case CleverTap:
		v = e.checkCleverTap()
	case Courier:
		v = e.checkCourier()
	default:
		// Skipping would lose the events of a provider that was added
		// without a rule here; a violation is a letter, and seen.
		v = &Violation{"destinations", "no rule for this provider; clevertap and courier have one"}
	}
	if v != nil {
		return Skip, v
	}
	return Deliver, nil
}

// CourierKey is the provider_key for Courier: the one that was given, else
// the one that follows from type, else "".
func (e *Event) CourierKey() string {
	if e.carries("provider_key") {
		return e.ProviderKey
	}
	switch e.Type {
	case "fcm", "gcm":
		return "firebase-fcm"
	case "apns":
		return "apn"
	}
	return ""
}

// hasCourierKey reports whether a key was given, be it a wrong one, or can be
// derived.
func (e *Event) hasCourierKey() bool {
	return e.carries("provider_key") || e.CourierKey() != ""
}

// nobody says why an event without destinations reaches no provider.
func (e *Event) nobody() *Violation {
	if e.carries("user_id") {
		return &Violation{"provider_key", "absent and none follows from type, and object_id is absent too, so that no provider remains"}
	}
	return &Violation{"destinations", "none, and neither object_id nor user_id is there to derive one"}
}

func (e *Event) checkCleverTap() *Violation {
	if v := checkIdentity("object_id", e.ObjectID, e.carries("object_id"), "clevertap"); v != nil {
		return v
	}
	if !e.carries("type") {
		return &Violation{"type", "absent; clevertap requires it"}
	}
	if e.Type == "chrome" {
		return checkKeys(e.Keys)
	}
	return nil
}

func (e *Event) checkCourier() *Violation {
	if v := checkIdentity("user_id", e.UserID, e.carries("user_id"), "courier"); v != nil {
		return v
	}
	if isDots(e.UserID) {
		return &Violation{"user_id", dots}
	}
	if !e.hasCourierKey() {
		return &Violation{"provider_key", "absent and none follows from type; courier requires one"}
	}
	if e.carries("provider_key") {
		if v := checkText("provider_key", e.ProviderKey); v != nil {
			return v
		}
	}
	return checkExpiry(e.ExpiryDate)
}
