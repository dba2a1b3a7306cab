package clevertap_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/clevertap"
	"github.com/tokenrelay/tokenrelay/providers/providerstest"
)

const (
	accountID = "W9R-486-4W5Z-secret-account"
	passcode  = "Q-passcode/with%specials"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, s clevertap.Settings) *clevertap.Client {
	t.Helper()
	s.AccountID, s.Passcode = accountID, passcode
	c, err := clevertap.New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestConformance(t *testing.T) {
	t.Parallel()
	providerstest.Run(t, providerstest.Subject{
		New: func(t *testing.T, o providerstest.Options) providers.Provider {
			return start(t, clevertap.Settings{BaseURL: o.BaseURL, Timeout: o.Timeout, MaxRetryAfter: o.MaxRetryAfter, Transport: o.Transport})
		},
		Secrets: []string{accountID, passcode},
		Event: func(n int) *event.Event {
			return &event.Event{
				Token:    fmt.Sprintf("dYfuuBmHLGI:APA91bEfAq1b6NAmz0uhUbVxwSLqgKF25zDb7-%03d", n),
				Type:     "fcm",
				ObjectID: fmt.Sprintf("__gc4grg4053N1eYkW6OBH71jhFev%03d", n),
			}
		},
		Accept: func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{ "status" : "success" , "processed" : %d , "unprocessed" : [ ]}`, len(decode(r).D))
		},
		Refuse: func(w http.ResponseWriter, r *http.Request, words string) {
			d := decode(r).D
			a := reply{Status: "fail", Unprocessed: []refused{}}
			for i, record := range d {
				a.Unprocessed = append(a.Unprocessed, refused{"fail", words, words + ". Skipped record number : " + strconv.Itoa(i+1), record})
			}
			json.NewEncoder(w).Encode(a)
		},
		Error: func(w http.ResponseWriter, status int, words string) {
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(map[string]any{"status": "fail", "error": words, "code": status})
		},
		Judge: func(status int, _ string) providers.Result {
			switch {
			case status < 300:
				return providers.Ambiguous
			case status < 400:
				return providers.Misconfigured
			case status == 401, status == 403:
				return providers.Unauthorized
			case status == 408, status >= 500:
				return providers.Unavailable
			case status == 429:
				return providers.Throttled
			}
			return providers.Refused
		},
		Parallel: 15,
	})
}

// upload is a request's body, as the fake reads it.
type upload struct {
	D []any `json:"d"`
}

type reply struct {
	Status      string    `json:"status"`
	Processed   int       `json:"processed"`
	Unprocessed []refused `json:"unprocessed"`
}

type refused struct {
	Status string `json:"status"`
	Code   any    `json:"code"`
	Error  string `json:"error"`
	Record any    `json:"record"`
}

func decode(r *http.Request) (u upload) {
	if err := json.NewDecoder(r.Body).Decode(&u); err != nil {
		panic(err)
	}
	return u
}
