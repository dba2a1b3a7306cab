package dlq

import (
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/event"
)

// shared reports whether a field's value is the same for many people, so that
// it may be shown. What could be anybody's own is marked; better too much:
// letters are the place where values stand in wrong fields, so that the name
// of a field says nothing about its value. A value counts as shared only when
// it is a known word, or has a form too narrow for a person's data. An app's
// id has the widest form and is believed of valid events alone.
func shared(field string, value jsontext.Value, valid bool) bool {
	text, _ := unquoted(value)
	switch field {
	case "type":
		return slices.Contains(event.Types(), text)
	case "destinations":
		return allProviders(value)
	case "provider_key":
		// The words of type are what people write there by mistake.
		return slices.Contains(courierKeys(), text) || slices.Contains(event.Types(), text)
	case "registered_at":
		_, ok := (&event.Event{RegisteredAt: text}).Registered()
		return ok && len(text) <= longestTime
	case "expiry_date":
		return value.Kind() == 'f' || text != "" && len(text) <= longestTime && isExpiry(value)
	case "device.platform":
		return foldedIn(platforms(), text)
	case "device.manufacturer":
		return foldedIn(manufacturers(), text)
	case "device.model":
		return modelForm.MatchString(text)
	case "tracking.os_version":
		return versionForm.MatchString(text)
	case "device.app_id":
		return valid && len(text) <= 32 && appForm.MatchString(text) && digits(text) < 6
	}
	return false
}

// longestTime is the length of a time in nanoseconds with a zone: a longer
// fraction of a second is no time any more.
const longestTime = len("2006-01-02T15:04:05.999999999+07:00")

// appForm is a name of reversed domains; modelForm a family of devices with
// one number; versionForm three small numbers.
var (
	appForm   = regexp.MustCompile(`^(com|org|net|io|app|dev|eu|de|at|ch|fr|uk)(\.[A-Za-z][A-Za-z0-9_-]*)+$`)
	modelForm = regexp.MustCompile(`^(SM-[A-Z][0-9]{3,4}[A-Z]{0,2}|` +
		`(iPhone|iPad|iPod|Pixel|Nexus|Galaxy|Redmi|POCO|OnePlus)( Note| Tab)?` +
		`( ?[A-Z]?[0-9]{1,2}(,[0-9]{1,2}|[a-z])?)?( (Pro|Max|Plus|[Mm]ini|Ultra|Air|Lite|XL|SE|XR|XS|X|FE|5G)){0,3})$`)
	versionForm = regexp.MustCompile(`^((Android|iOS|iPadOS) )?[1-9][0-9]?(\.[0-9]{1,2}){0,2}$`)
)

// courierKeys are the words that Courier documents for provider_key.
func courierKeys() []string { return []string{"firebase-fcm", "apn", "expo", "onesignal"} }

func platforms() []string {
	return []string{"android", "ios", "ipados", "web", "windows", "macos", "linux"}
}

func manufacturers() []string {
	return []string{"Apple", "Samsung", "Google", "Xiaomi", "Redmi", "POCO", "Huawei", "Honor", "OnePlus", "OPPO", "realme", "vivo",
		"Motorola", "Nokia", "HMD Global", "Sony", "LG", "LGE", "HTC", "Asus", "Lenovo", "ZTE", "Nothing", "Fairphone", "Microsoft", "Amazon"}
}

func foldedIn(words []string, text string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return strings.EqualFold(word, text) })
}

func allProviders(value jsontext.Value) bool {
	var names []string
	if value.Kind() != '[' || json.Unmarshal(value, &names) != nil {
		return false
	}
	return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(event.Providers(), name) })
}

// isExpiry asks Courier's route, the only judge of expiry_date, about an
// event in which nothing else can be wrong.
func isExpiry(value jsontext.Value) bool {
	e := event.Event{UserID: "u", ProviderKey: "apn", ExpiryDate: value}
	_, err := e.RouteOnly(event.Courier)
	return err == nil
}

func digits(text string) int {
	count := 0
	for _, c := range text {
		if '0' <= c && c <= '9' {
			count++
		}
	}
	return count
}

// digitsAndLetters reports a text of ASCII digits, letters and those others.
func digitsAndLetters(text, others string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune(others, c)
	})
}
