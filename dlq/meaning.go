package dlq

import (
	"slices"
	"strings"

	"github.com/tokenrelay/tokenrelay/event"
)

// Meaning is what a code says to a person, and what usually helps.
type Meaning struct {
	Means string
	Cure  string
}

// Explain is the meaning of a code at a provider. The sources are CleverTap's
// list of errors (https://developer.clevertap.com/docs/api-errors), Courier's
// (https://www.courier.com/docs/platform/sending/handling-responses-and-errors)
// and our own decisions. A code that nobody has written about has one, too.
// Every command in a cure can be typed as it stands.
func Explain(provider, code string) Meaning {
	meanings := ownMeanings(these(provider, code))
	if m, ok := meanings[provider+" "+code]; ok {
		return m
	}
	if m, ok := meanings[code]; ok {
		return m
	}
	status, isStatus := strings.CutPrefix(code, "http_")
	isStatus = isStatus && Code(code) == code // others may put anything into a subject, and this goes into a command
	switch {
	case isStatus && strings.HasPrefix(status, "5"):
		return Meaning{"The provider failed with HTTP " + status + " for this record again and again, while it took others.",
			"Try it: `dlq replay " + these(provider, code) + "` sends 5 first. If they die again, ask the provider about one of them."}
	case isStatus:
		return Meaning{"The provider refused this record with HTTP " + status + ".",
			"Read the reason; correct the event with --set or --edit, or purge."}
	}
	return Meaning{"The provider refused this record with code " + code + ", which its documents do not list for tokens.",
		"Read the reason and look the code up at the provider; replay as a trial to see whether it has passed."}
}

// these chooses a code's letters on a command line.
func these(provider, code string) string {
	if slices.Contains(event.Providers(), provider) {
		return "--provider " + provider + " --code " + code
	}
	return "--code " + code
}

// ownMeanings puts the filter of the letters into each command.
func ownMeanings(letters string) map[string]Meaning {
	return map[string]Meaning{
		"clevertap 530": {"CleverTap: the objectId is invalid.",
			"The app must send the CleverTap ID (objectId) of a profile that has been live with the SDK, not its own user id. Mend the app; letters with a wrong object_id: --edit, or purge."},
		"clevertap 531": {"CleverTap: invalid token data.",
			"The token is stale, cut short or of another push service. It cannot be mended here: the app registers anew at the next login. Purge when the letters are old."},
		"clevertap 532": {"CleverTap: the token's id is missing. Our own mistake: it should not happen.",
			"Report it with the output of `dlq show ID`. Replay after an update."},
		"clevertap 533": {"CleverTap: the token's type is missing. Our own mistake: it should not happen.",
			"Report it with the output of `dlq show ID`. Replay after an update."},
		"clevertap 534": {"CleverTap: the token's type does not fit the objectId (its beginning tells the platform: __ Android, - iOS).",
			"The app sends the wrong type, or the object_id of another device. Where only the type is wrong, see and correct some: `dlq replay " + letters + " --edit --limit 50`. Where it is the same for all: --set type=…, with --reason for one group."},
		"clevertap 535": {"CleverTap: invalid token data (for chrome: the keys).",
			"As 531; for type chrome look at keys.p256dh and keys.auth. The app registers anew at the next login."},
		"clevertap 555": {"CleverTap: a miscellaneous server error. It may pass.",
			"Replay."},
		"clevertap http_400": {"CleverTap refused a call that held this record alone, without naming a reason it documents.",
			"Read the reason. `dlq replay " + letters + " --dry-run` asks CleverTap without storing; correct the event with --set or --edit, or purge."},
		"courier http_400": {"Courier refused the request: invalid_request_error.",
			"The reason has Courier's words. Most often the provider_key is unknown to the workspace or a field is malformed. See and correct some: `dlq replay " + letters + " --edit --limit 50`. Where it is the same for all: --set provider_key=…, with --reason for one group."},
		"courier http_404": {"Courier does not know the user or the path.",
			"Create the user at Courier, then replay. When every letter is 404, look at COURIER_BASE_URL."},
		"courier http_409": {"Courier reports a conflict that did not pass in three calls.",
			"Replay: the change under way is over by now."},
		"courier http_413": {"The request is larger than Courier takes.",
			"The app must send smaller properties; --edit, or purge."},
		"http_400": {"The provider calls the request invalid.",
			"Read the reason; correct the event with --set or --edit, or purge."},
		"http_404": {"The provider does not know the address.",
			"When every letter is 404, look at the provider's base URL; then replay."},
		"http_410": {"The provider says that the user or the token is gone for good.",
			"Purge: the app registers anew at the next login."},
		"http_413": {"The record is too large for the provider.",
			"The app must send less; --edit, or purge."},
		"http_422": {"The provider understood the record and does not accept its values.",
			"Read the reason; correct the event with --set or --edit, or purge."},
		"invalid_event": {"The message is no valid event for this provider; the reason names the field. No call was made.",
			"Mend the app. What can be mended here: `dlq replay " + letters + " --edit --limit 50`, or --set with the right value where it is the same for all; it is left alone until it is valid."},
		"ambiguous_response": {"The provider's answer to this record alone contradicted itself, twice, while it took others.",
			"Replay as a trial. If it stays so, show the provider one record."},
		"internal_error": {"A mistake in this program while the record was handled; the stack is in the worker's log.",
			"Report it. Replay after an update."},
		"expired": {"The event waited until an hour before the stream would have dropped it: the provider was down or held all that time.",
			"Look at `worker check` first. When the provider works again: `dlq replay " + letters + " --stale` (these letters are old by nature), as a trial first."},
		"unavailable": {"The provider did not answer for this record, many times, while it took others.",
			"Replay: it may have passed. If the same records die again, ask the provider."},
		"other": {"The provider gave a code that makes no name; it stands at the beginning of the reason.",
			"Look the code up at the provider; replay as a trial to see whether it has passed."},
	}
}
