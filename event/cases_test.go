package event_test

import (
	"fmt"
	"strings"
)

// A case is one message and what each provider makes of it: "deliver", "skip",
// or the field that makes it an invalid event there.
type testcase struct {
	name      string
	message   string
	clevertap string
	courier   string
	beyond    bool // beyond a JSON Schema
}

const (
	deliver = "deliver"
	skip    = "skip"

	point  = "BLc4xRzKlKORKWlbdgFaBrrPK3ydWAHo4M0gs0i1oEKgPpWC5cW8OCzVrOQRv-1npXRWk8udnW3oYhIO4475rds=" // CleverTap's own example; not on the curve
	secret = "5I2Bu2oKdyy9CwL8QVF0NQ=="
)

// both is an event for both providers, changed by members that replace one of
// its own or join it.
func both(members ...string) string {
	return object(append([]string{`"token":"tok-1"`, `"type":"fcm"`, `"object_id":"o"`, `"user_id":"u"`}, members...)...)
}

// object joins members; a later one of the same name replaces the earlier.
func object(members ...string) string {
	var order []string
	byName := map[string]string{}
	for _, m := range members {
		name, _, _ := strings.Cut(m, ":")
		if _, seen := byName[name]; !seen {
			order = append(order, name)
		}
		byName[name] = m
	}
	for i, name := range order {
		order[i] = byName[name]
	}
	return "{" + strings.Join(order, ",") + "}"
}

func str(name, value string) string { return fmt.Sprintf("%q:%q", name, value) }

func chrome(p256dh, auth string) string {
	return both(`"type":"chrome"`, `"provider_key":"k"`, fmt.Sprintf(`"keys":{"p256dh":%q,"auth":%q}`, p256dh, auth))
}

// fieldCases has the rows of the event's table.
func fieldCases() []testcase {
	all := func(name, message, field string) testcase {
		return testcase{name: name, message: message, clevertap: field, courier: field}
	}
	fine := func(name, message string) testcase { return all(name, message, deliver) }
	clevertap := func(name, message, field string) testcase {
		return testcase{name: name, message: message, clevertap: field, courier: deliver}
	}
	courier := func(name, message, field string) testcase {
		return testcase{name: name, message: message, clevertap: deliver, courier: field}
	}
	beyond := func(c testcase) testcase { c.beyond = true; return c }
	long := func(n int) string { return strings.Repeat("x", n) }

	return []testcase{
		fine("least", both()),

		fine("id", both(`"id":"any \u0000 text"`)),
		fine("id empty", both(`"id":""`)),
		all("id number", both(`"id":5`), "id"),

		all("token absent", `{"type":"fcm","object_id":"o","user_id":"u"}`, "token"),
		all("token null", both(`"token":null`), "token"),
		all("token empty", both(`"token":""`), "token"),
		all("token number", both(`"token":5`), "token"),
		all("token boolean", both(`"token":true`), "token"),
		all("token object", both(`"token":{}`), "token"),
		all("token array", both(`"token":["t"]`), "token"),
		fine("token of 4096 bytes", both(str("token", long(4096)))),
		all("token of 4097 bytes", both(str("token", long(4097))), "token"),
		all("token of 5000 bytes", both(str("token", long(5000))), "token"),
		beyond(all("token of 2049 characters in 4098 bytes", both(str("token", strings.Repeat("ä", 2049))), "token")),
		all("token of a dot", both(`"token":"."`), "token"),
		all("token of two dots", both(`"token":".."`), "token"),
		fine("token of three dots", both(`"token":"..."`)),
		all("token with a space", both(`"token":"a b"`), "token"),
		all("token with a no-break space", both(`"token":"a\u00a0b"`), "token"),
		all("token with a line separator", both(`"token":"a\u2028b"`), "token"),
		all("token with a tab", both(`"token":"a\tb"`), "token"),
		all("token with a line end", both(`"token":"a\n"`), "token"),
		all("token with NUL", both(`"token":"a\u0000"`), "token"),
		all("token with DEL", both(`"token":"a\u007f"`), "token"),
		all("token with NEL", both(`"token":"a\u0085"`), "token"),
		all("token with a control character after others", both(`"token":"ä\u0001"`), "token"),
		fine("token of Expo", both(`"token":"ExponentPushToken[xxxx]"`)),
		fine("token with path characters", both(`"token":"a/b?c#d%2F"`)),
		fine("token beyond ASCII", both(`"token":"töken-😀"`)),

		courier("user_id of 513 bytes", both(str("user_id", long(513))), "user_id"),
		fine("user_id of 512 bytes", both(str("user_id", long(512)))),
		courier("user_id with a control character", both(`"user_id":"a\u0001"`), "user_id"),
		courier("user_id with a C1 control character", both(`"user_id":"a\u009f"`), "user_id"),
		fine("user_id with a space", both(`"user_id":"a b"`)),
		courier("user_id of a dot", both(`"user_id":"."`), "user_id"),
		courier("user_id of two dots", both(`"user_id":".."`), "user_id"),
		courier("user_id empty", both(`"user_id":""`), "user_id"),
		all("user_id number", both(`"user_id":5`), "user_id"),
		beyond(courier("user_id of 257 characters in 514 bytes", both(str("user_id", strings.Repeat("ä", 257))), "user_id")),

		clevertap("object_id of 513 bytes", both(str("object_id", long(513))), "object_id"),
		fine("object_id of 512 bytes", both(str("object_id", long(512)))),
		clevertap("object_id with a control character", both(`"object_id":"a\u0001"`), "object_id"),
		fine("object_id of dots", both(`"object_id":".."`)),
		clevertap("object_id empty", both(`"object_id":""`), "object_id"),
		all("object_id number", both(`"object_id":5`), "object_id"),

		fine("type apns", both(`"type":"apns"`)),
		fine("type gcm", both(`"type":"gcm"`)),
		fine("type wns", both(`"type":"wns"`, `"provider_key":"k"`)),
		fine("type mpns", both(`"type":"mpns"`, `"provider_key":"k"`)),
		all("type unknown", both(`"type":"huawei"`), "type"),
		all("type in another letter case", both(`"type":"FCM"`), "type"),
		all("type empty", both(`"type":""`), "type"),
		all("type number", both(`"type":5`), "type"),
		clevertap("type absent", `{"token":"t","object_id":"o","user_id":"u","provider_key":"k"}`, "type"),
		clevertap("type null", both(`"type":null`, `"provider_key":"k"`), "type"),

		fine("keys of the provider's example", chrome(point, secret)),
		fine("keys not padded", chrome(strings.TrimRight(point, "="), strings.TrimRight(secret, "="))),
		fine("keys in base64", chrome(strings.ReplaceAll(point, "-", "+"), "+/2Bu2oKdyy9CwL8QVF0NQ==")),
		fine("keys in base64url", chrome(point, "-_2Bu2oKdyy9CwL8QVF0NQ")),
		clevertap("keys absent for chrome", both(`"type":"chrome"`, `"provider_key":"k"`), "keys"),
		clevertap("keys null for chrome", both(`"type":"chrome"`, `"provider_key":"k"`, `"keys":null`), "keys"),
		clevertap("keys empty object", both(`"type":"chrome"`, `"provider_key":"k"`, `"keys":{}`), "keys.p256dh"),
		clevertap("keys without auth", both(`"type":"chrome"`, `"provider_key":"k"`, `"keys":{"p256dh":"`+point+`"}`), "keys.auth"),
		clevertap("keys with an empty auth", chrome(point, ""), "keys.auth"),
		clevertap("keys with a null auth", both(`"type":"chrome"`, `"provider_key":"k"`, `"keys":{"p256dh":"`+point+`","auth":null}`), "keys.auth"),
		clevertap("keys too short", chrome(point[4:], secret), "keys.p256dh"),
		clevertap("keys too long", chrome(point, "AAAA"+secret), "keys.auth"),
		clevertap("keys in two alphabets", chrome(point, "-+2Bu2oKdyy9CwL8QVF0NQ=="), "keys.auth"),
		clevertap("keys half padded", chrome(point, secret[:23]), "keys.auth"),
		clevertap("keys with a line end", chrome(point, secret[:8]+"\n"+secret[8:]), "keys.auth"),
		clevertap("keys with another first byte", chrome("A"+point[1:], secret), "keys.p256dh"),
		clevertap("keys with a compressed point's first byte", chrome("AwAA"+point[4:], secret), "keys.p256dh"),
		clevertap("keys with the first byte 5", chrome("BQAA"+point[4:], secret), "keys.p256dh"),
		fine("keys with an unknown field", both(`"keys":{"x":{"y":[1]}}`)),
		fine("keys of no size, not for chrome", both(`"keys":{"p256dh":"x","auth":"y"}`)),
		all("keys string", both(`"keys":"x"`), "keys"),
		all("keys array", both(`"keys":[]`), "keys"),
		all("keys with a number", both(`"keys":{"p256dh":1}`), "keys.p256dh"),

		fine("provider_key given for a type without", both(`"type":"wns"`, `"provider_key":"onesignal"`)),
		courier("provider_key empty", both(`"provider_key":""`), "provider_key"),
		courier("provider_key of 513 bytes", both(str("provider_key", long(513))), "provider_key"),
		fine("provider_key of 512 bytes", both(str("provider_key", long(512)))),
		courier("provider_key with a control character", both(`"provider_key":"a\n"`), "provider_key"),
		all("provider_key number", both(`"provider_key":1`), "provider_key"),

		fine("device", both(`"device":{"app_id":"a","ad_id":"b","device_id":"c","platform":"d","manufacturer":"e","model":"f"}`)),
		fine("device null", both(`"device":null`)),
		fine("device empty", both(`"device":{}`)),
		fine("device with null, empty and unknown fields", both(`"device":{"app_id":null,"model":"","x":5}`)),
		all("device string", both(`"device":"x"`), "device"),
		all("device with a number", both(`"device":{"app_id":1}`), "device.app_id"),
		all("device with an object", both(`"device":{"model":{"a":1}}`), "device.model"),

		fine("tracking", both(`"tracking":{"os_version":"9","ip":"192.0.2.4","lat":"1.2","long":"3.4"}`)),
		all("tracking array", both(`"tracking":[]`), "tracking"),
		all("tracking with a number", both(`"tracking":{"lat":1.2}`), "tracking.lat"),

		fine("properties", both(`"properties":{"is_person":true,"deep":[{"a":null}]}`)),
		fine("properties null", both(`"properties":null`)),
		all("properties string", both(`"properties":"x"`), "properties"),
		all("properties array", both(`"properties":[1]`), "properties"),

		fine("expiry_date false", both(`"expiry_date":false`)),
		fine("expiry_date null", both(`"expiry_date":null`)),
		fine("expiry_date of a day", both(`"expiry_date":"2030-01-31"`)),
		fine("expiry_date to the minute", both(`"expiry_date":"2030-01-31T12:30"`)),
		fine("expiry_date to the second", both(`"expiry_date":"2030-01-31T12:30:01"`)),
		fine("expiry_date with a fraction", both(`"expiry_date":"2030-01-01T00:00:00.000Z"`)),
		fine("expiry_date with a comma", both(`"expiry_date":"2030-01-01T00:00:00,5Z"`)),
		fine("expiry_date with an offset", both(`"expiry_date":"2030-01-01T00:00:00+05:30"`)),
		fine("expiry_date with an offset in hours", both(`"expiry_date":"2030-01-01T00:00-08"`)),
		fine("expiry_date with escapes", both(`"expiry_date":"2030\u002d01-01"`)),
		fine("expiry_date on a leap day", both(`"expiry_date":"2028-02-29"`)),
		beyond(courier("expiry_date on a day that is not", both(`"expiry_date":"2027-02-29"`), "expiry_date")),
		courier("expiry_date empty", both(`"expiry_date":""`), "expiry_date"),
		courier("expiry_date in words", both(`"expiry_date":"tomorrow"`), "expiry_date"),
		courier("expiry_date in seconds as a string", both(`"expiry_date":"1893456000"`), "expiry_date"),
		courier("expiry_date with one digit", both(`"expiry_date":"2030-1-1"`), "expiry_date"),
		courier("expiry_date in month 13", both(`"expiry_date":"2030-13-01"`), "expiry_date"),
		courier("expiry_date at 25 o'clock", both(`"expiry_date":"2030-01-01T25:00Z"`), "expiry_date"),
		courier("expiry_date with a space", both(`"expiry_date":"2030-01-01 00:00"`), "expiry_date"),
		courier("expiry_date with a tail", both(`"expiry_date":"2030-01-01T00:00Zx"`), "expiry_date"),
		courier("expiry_date with a line end", both(`"expiry_date":"2030-01-01\n"`), "expiry_date"),
		all("expiry_date true", both(`"expiry_date":true`), "expiry_date"),
		all("expiry_date number", both(`"expiry_date":1893456000`), "expiry_date"),
		all("expiry_date object", both(`"expiry_date":{}`), "expiry_date"),

		all("destinations string", both(`"destinations":"clevertap"`), "destinations"),
		all("destinations object", both(`"destinations":{}`), "destinations"),
		all("destinations with a number", both(`"destinations":["clevertap",5]`), "destinations"),
		all("destinations with a null", both(`"destinations":["clevertap",null]`), "destinations"),
		all("destinations unknown", both(`"destinations":["clevertap","segment"]`), "destinations"),
		all("destinations in another letter case", both(`"destinations":["CleverTap"]`), "destinations"),
		all("destinations empty string", both(`"destinations":[""]`), "destinations"),

		fine("registered_at", both(`"registered_at":"2026-11-22T01:02:03Z"`)),
		fine("registered_at with fraction and offset", both(`"registered_at":"2026-11-22T01:02:03.123456789+05:30"`)),
		fine("registered_at in small letters", both(`"registered_at":"2026-11-22t01:02:03z"`)),
		fine("registered_at in the future", both(`"registered_at":"9999-12-31T23:59:59Z"`)),
		fine("registered_at null", both(`"registered_at":null`)),
		all("registered_at empty", both(`"registered_at":""`), "registered_at"),
		all("registered_at without a zone", both(`"registered_at":"2026-11-22T01:02:03"`), "registered_at"),
		all("registered_at of a day", both(`"registered_at":"2026-11-22"`), "registered_at"),
		all("registered_at with one digit", both(`"registered_at":"2026-11-22T1:02:03Z"`), "registered_at"),
		all("registered_at with a comma", both(`"registered_at":"2026-11-22T01:02:03,5Z"`), "registered_at"),
		all("registered_at with an offset of a day", both(`"registered_at":"2026-11-22T01:02:03+24:00"`), "registered_at"),
		all("registered_at with an offset of 60 minutes", both(`"registered_at":"2026-11-22T01:02:03+05:60"`), "registered_at"),
		all("registered_at at 24 o'clock", both(`"registered_at":"2026-11-22T24:00:00Z"`), "registered_at"),
		all("registered_at with a space", both(`"registered_at":"2026-11-22 01:02:03Z"`), "registered_at"),
		all("registered_at number", both(`"registered_at":1763773323`), "registered_at"),
		beyond(all("registered_at on a day that is not", both(`"registered_at":"2027-02-29T01:02:03Z"`), "registered_at")),
	}
}

// addressCases has the cases of who is addressed.
func addressCases() []testcase {
	return []testcase{
		{name: "both identities", message: both(), clevertap: deliver, courier: deliver},
		{name: "destinations null", message: both(`"destinations":null`), clevertap: deliver, courier: deliver},
		{name: "destinations empty", message: both(`"destinations":[]`), clevertap: deliver, courier: deliver},
		{name: "destinations both", message: both(`"destinations":["courier","clevertap"]`), clevertap: deliver, courier: deliver},
		{name: "destinations twice the same", message: both(`"destinations":["courier","courier"]`), clevertap: skip, courier: deliver},
		{name: "destinations with escapes", message: both(`"destinations":["c\u006furier"]`), clevertap: skip, courier: deliver},
		{name: "destinations one", message: both(`"destinations":["clevertap"]`), clevertap: deliver, courier: skip},

		{name: "object_id alone", message: `{"token":"t","type":"fcm","object_id":"o"}`, clevertap: deliver, courier: skip},
		{name: "user_id alone", message: `{"token":"t","type":"fcm","user_id":"u"}`, clevertap: skip, courier: deliver},
		{name: "user_id null", message: both(`"user_id":null`), clevertap: deliver, courier: skip},
		{name: "object_id null", message: both(`"object_id":null`), clevertap: skip, courier: deliver},
		{name: "user_id alone with a key and no type", message: `{"token":"t","user_id":"u","provider_key":"k"}`, clevertap: skip, courier: deliver},
		{name: "object_id alone and no type", message: `{"token":"t","object_id":"o"}`, clevertap: "type", courier: skip},
		{name: "both identities and no type", message: `{"token":"t","object_id":"o","user_id":"u"}`, clevertap: "type", courier: skip},
		{name: "object_id empty, user_id fine", message: both(`"object_id":""`), clevertap: "object_id", courier: deliver},
		{name: "object_id empty alone", message: `{"token":"t","type":"fcm","object_id":""}`, clevertap: "object_id", courier: skip},
		{name: "user_id empty alone", message: `{"token":"t","type":"fcm","user_id":""}`, clevertap: skip, courier: "user_id"},
		{name: "both identities empty", message: both(`"object_id":""`, `"user_id":""`), clevertap: "object_id", courier: "user_id"},

		{name: "no key follows from type", message: both(`"type":"wns"`), clevertap: deliver, courier: skip},
		{name: "no key follows from type, user_id wrong", message: both(`"type":"wns"`, `"user_id":""`), clevertap: deliver, courier: skip},
		{name: "key empty where none follows", message: both(`"type":"mpns"`, `"provider_key":""`), clevertap: deliver, courier: "provider_key"},
		{name: "no identity", message: `{"token":"t","type":"fcm"}`, clevertap: "destinations", courier: "destinations"},
		{name: "no identity, destinations empty", message: `{"token":"t","type":"fcm","destinations":[]}`, clevertap: "destinations", courier: "destinations"},
		{name: "only a user_id and no key follows", message: `{"token":"t","type":"wns","user_id":"u"}`, clevertap: "provider_key", courier: "provider_key"},
		{name: "only a user_id and no type", message: `{"token":"t","user_id":"u"}`, clevertap: "provider_key", courier: "provider_key"},

		{name: "named without object_id", message: both(`"object_id":null`, `"destinations":["clevertap","courier"]`), clevertap: "object_id", courier: deliver},
		{name: "named without user_id", message: both(`"user_id":null`, `"destinations":["clevertap","courier"]`), clevertap: deliver, courier: "user_id"},
		{name: "named without type", message: both(`"type":null`, `"provider_key":"k"`, `"destinations":["clevertap","courier"]`), clevertap: "type", courier: deliver},
		{name: "named without a key that follows", message: both(`"type":"wns"`, `"destinations":["clevertap","courier"]`), clevertap: deliver, courier: "provider_key"},
		{name: "named alone without identity", message: `{"token":"t","type":"fcm","destinations":["courier"]}`, clevertap: skip, courier: "user_id"},
		{name: "not named, with a wrong value", message: both(`"user_id":"","destinations":["clevertap"]`), clevertap: deliver, courier: skip},
		{name: "not named, with a wrong date", message: both(`"expiry_date":"soon","destinations":["clevertap"]`), clevertap: deliver, courier: skip},
		{name: "not named, chrome without keys", message: both(`"type":"chrome","provider_key":"k","destinations":["courier"]`), clevertap: skip, courier: deliver},
	}
}

// jsonCases has what is no event as JSON, or looks like none.
func jsonCases() []testcase {
	wrong := func(name, message, field string) testcase {
		return testcase{name: name, message: message, clevertap: field, courier: field, beyond: true}
	}
	fine := func(name, message string) testcase {
		return testcase{name: name, message: message, clevertap: deliver, courier: deliver}
	}
	least := both()
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

	return []testcase{
		fine("unknown fields", both(`"x":{"y":[1,null,{}]}`, `"":0`)),
		fine("known names in another letter case", both(`"Token":5`, `"USER_ID":{}`, `"Destinations":"x"`)),
		fine("names with escapes", strings.Replace(least, `"token"`, `"t\u006fken"`, 1)),
		fine("white space around", " \r\n\t"+least+"\n"),
		fine("nested 9000 deep", both(`"x":`+nested(9000))),

		wrong("empty", "", "event"),
		wrong("white space alone", " \n", "event"),
		wrong("words", "hello", "event"),
		wrong("not quite null", "nope", "event"),
		wrong("null", "null", "event"),
		wrong("array", "["+least+"]", "event"),
		wrong("string", `"`+point+`"`, "event"),
		wrong("number", "5", "event"),
		wrong("binary", "\x00\x01\xfe\xff", "event"),
		wrong("byte order mark", "\ufeff"+least, "event"),
		wrong("cut off", least[:len(least)-1], "event"),
		wrong("cut off in a string", least[:20], "event"),
		wrong("trailing bytes", least+"x", "event"),
		wrong("two objects", least+"\n"+least, "event"),
		wrong("trailing comma", strings.Replace(least, "}", ",}", 1), "event"),
		wrong("single quotes", `{'token':'t'}`, "event"),
		wrong("comment", `{/**/"token":"t"}`, "event"),
		wrong("60 kB of brackets", strings.Repeat("[", 60_000), "event"),
		wrong("60 kB of nesting", strings.Repeat(`{"a":`, 10_100)+"1"+strings.Repeat("}", 10_100), "event"),
		wrong("60 kB of nesting in an unknown field", both(`"x":`+nested(30_000)), "event"),
		wrong("60 kB of nesting in properties", both(`"properties":{"x":`+nested(30_000)+`}`), "properties"),
		wrong("60 kB of nesting for a token", both(`"token":`+nested(30_000)), "token"),
		wrong("over 64 KiB", both(str("x", strings.Repeat("x", 64<<10))), "event"),
		wrong("over 64 KiB of white space", least+strings.Repeat(" ", 64<<10), "event"),
		wrong("name twice", strings.Replace(least, "}", `,"token":"u"}`, 1), "token"),
		wrong("name twice, once with escapes", strings.Replace(least, "}", `,"tok\u0065n":"u"}`, 1), "token"),
		wrong("name twice, first null", `{"token":null,"token":"t","type":"fcm","object_id":"o","user_id":"u"}`, "token"),
		wrong("unknown name twice", strings.Replace(least, "}", `,"x":1,"x":1}`, 1), "event"),
		wrong("name twice in an unknown field", both(`"x":{"y":[{"z":1,"z":2}]}`), "event"),
		wrong("name twice in properties", both(`"properties":{"y":{"z":1,"z":2}}`), "properties"),
		wrong("known name twice in device", both(`"device":{"model":"a","model":"a"}`), "device.model"),
		wrong("unknown name twice in device", both(`"device":{"x":"a","x":"a"}`), "device"),
		wrong("device twice", strings.Replace(both(`"device":{}`), "}}", `},"device":{}}`, 1), "device"),
		wrong("invalid UTF-8 in the token", both("\"token\":\"a\xff\""), "token"),
		wrong("invalid UTF-8 in a name", both("\"\xc3\x28\":1"), "event"),
		wrong("invalid UTF-8 in an unknown field", both("\"x\":\"\xed\xa0\x80\""), "event"),
		wrong("half a surrogate pair", both(`"user_id":"\ud83d"`), "user_id"),
		wrong("raw control character", both("\"token\":\"a\x01b\""), "token"),
		wrong("number with a leading zero", both(`"x":01`), "event"),
	}
}
