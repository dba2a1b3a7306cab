package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"sync"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// request is what reached a provider.
type request struct {
	method, path string // the path as it was escaped
	header       http.Header
	body         []byte
}

// window stands before a provider and notes each request.
type window struct {
	behind http.Handler
	mu     sync.Mutex
	seen   []request
}

func (v *window) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(in.Body)
	if err != nil {
		http.Error(out, "cut short", http.StatusBadRequest)
		return
	}
	v.mu.Lock()
	v.seen = append(v.seen, request{in.Method, in.URL.EscapedPath(), in.Header.Clone(), body})
	v.mu.Unlock()
	in.Body = io.NopCloser(bytes.NewReader(body))
	v.behind.ServeHTTP(out, in)
}

func (v *window) requests() []request {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]request{}, v.seen...)
}

// serve listens for a handler until the test ends and returns its URL.
func serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// The examples of both providers' documents arrive as they are written there.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	required := map[string]map[string]string{
		event.CleverTap: {
			"X-CleverTap-Account-Id": sandbox.DefaultAccountID,
			"X-CleverTap-Passcode":   sandbox.DefaultPasscode,
			"Content-Type":           "application/json; charset=utf-8",
		},
		event.Courier: {
			"Authorization": "Bearer " + sandbox.DefaultAPIKey,
			"Accept":        "application/json",
			"Content-Type":  "application/json",
		},
	}
	for provider, base := range map[string]string{event.CleverTap: sandbox.CleverTapPath, event.Courier: sandbox.CourierPath} {
		for _, example := range readExamples(t, provider) {
			t.Run(provider+" "+example.Name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, example.Settings...)
				view := &window{behind: w.fake(provider).Handler()}
				url := serve(t, view)
				w.set("CLEVERTAP_BASE_URL="+url+sandbox.CleverTapPath, "COURIER_BASE_URL="+url+sandbox.CourierPath, "PROVIDERS="+provider,
					"CLEVERTAP_BATCH_SIZE="+string(rune('0'+len(example.Events))), "CLEVERTAP_BATCH_WAIT=20s")
				w.start()
				for _, ev := range example.Events {
					w.put(string(ev))
				}
				w.settled(provider)
				w.noLetters()
				if n := w.report(provider).Accepted; n != len(example.Events) {
					t.Errorf("the sandbox accepted %d records, want %d", n, len(example.Events))
				}
				seen := view.requests()
				if len(seen) != 1 {
					t.Fatalf("%d requests, want one", len(seen))
				}
				method := map[string]string{event.CleverTap: http.MethodPost, event.Courier: http.MethodPut}[provider]
				if seen[0].method != method || seen[0].path != base+example.Path {
					t.Errorf("%s %s, want %s %s", seen[0].method, seen[0].path, method, base+example.Path)
				}
				for name, want := range required[provider] {
					if have := seen[0].header.Get(name); have != want {
						t.Errorf("header %s is %q, want %q", name, have, want)
					}
				}
				if have, want := parsed(t, seen[0].body), parsed(t, example.Body); !reflect.DeepEqual(have, want) {
					t.Errorf("body\n%s\nmeans something else than\n%s", seen[0].body, example.Body)
				}
			})
		}
	}
}

// example is a documented request, and the events that lead to it.
type example struct {
	Name     string
	Settings []string
	Events   []json.RawMessage
	Path     string // below the base URL
	Body     json.RawMessage
}

func readExamples(t testing.TB, provider string) []example {
	t.Helper()
	data, err := os.ReadFile("testdata/" + provider + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var list []example
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatalf("testdata/%s.json: %v", provider, err)
	}
	return list
}

func parsed(t testing.TB, data []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}
