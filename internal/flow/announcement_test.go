package flow

import (
	"strings"
	"testing"
	"time"
)

func TestWhatIsNoAnnouncement(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data string
		ok   bool
	}{
		"whole":                   {`{"pod":"a","started":"2026-01-02T03:04:05Z","age_ms":5,"version":"v1","providers":{"clevertap":{"delivered":1,"dead":2,"skipped":3,"erased":4,"open_calls":5,"permits":3,"permit_cap":3}}}`, true},
		"last":                    {`{"pod":"a","ended":true}`, true},
		"of a later version":      {`{"pod":"a","more":[1,2],"providers":{"fcm":{"delivered":1,"more":{}}}}`, true},
		"nothing":                 {``, false},
		"no JSON":                 {`hello`, false},
		"null":                    {`null`, false},
		"a list":                  {`[]`, false},
		"deep":                    {strings.Repeat("[", 4000), false},
		"no pod":                  {`{"age_ms":5}`, false},
		"a long name":             {`{"pod":"` + strings.Repeat("a", 257) + `"}`, false},
		"large":                   {`{"pod":"a","version":"` + strings.Repeat("v", 5000) + `"}`, false},
		"from the future":         {`{"pod":"a","age_ms":-1}`, false},
		"older than NATS":         {`{"pod":"a","age_ms":9223372036854775807}`, false},
		"less than nothing":       {`{"pod":"a","providers":{"clevertap":{"delivered":-1}}}`, false},
		"half an event":           {`{"pod":"a","providers":{"clevertap":{"delivered":0.5}}}`, false},
		"more than there are":     {`{"pod":"a","providers":{"clevertap":{"dead":18446744073709551615}}}`, false},
		"beyond any number":       {`{"pod":"a","providers":{"clevertap":{"dead":1e400}}}`, false},
		"more calls than sockets": {`{"pod":"a","providers":{"clevertap":{"open_calls":4000000000}}}`, false},
		"more calls than a pod's": {`{"pod":"a","providers":{"courier":{"open_calls":65536}}}`, false},
		"as many as there may be": {`{"pod":"a","providers":{"courier":{"open_calls":1024}}}`, true},
		"a cap of no account":     {`{"pod":"a","providers":{"clevertap":{"permit_cap":65}}}`, false},
		"permits of no account":   {`{"pod":"a","providers":{"clevertap":{"permits":65}}}`, false},
		"delivered too fast":      {`{"pod":"a","age_ms":2000,"providers":{"clevertap":{"delivered":30000001}}}`, false},
		"dead too fast":           {`{"pod":"a","age_ms":2000,"providers":{"clevertap":{"dead":30000001}}}`, false},
		"skipped too fast":        {`{"pod":"a","age_ms":2000,"providers":{"clevertap":{"skipped":30000001}}}`, false},
		"as fast as may be":       {`{"pod":"a","age_ms":2000,"providers":{"clevertap":{"delivered":30000000}}}`, true},
		"erased in bulk":          {`{"pod":"a","age_ms":2000,"providers":{"clevertap":{"erased":900000000000}}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if a := read([]byte(c.data)); (a != nil) != c.ok {
				t.Errorf("%+v, want one: %t", a, c.ok)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"pod":"a","age_ms":5,"providers":{"clevertap":{"delivered":1,"permit_cap":3},"courier":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a := read(data)
		if a == nil {
			return
		}
		b := newBooks(time.Now())
		b.hear(b.since, a)
		b.hear(b.since, a)
		for name, account := range b.providers {
			if p := b.cleverTap(0); account.delivered > mostCount || p.PermitCap > mostCap {
				t.Errorf("%s: %d delivered, cap %d", name, account.delivered, p.PermitCap)
			}
		}
	})
}
