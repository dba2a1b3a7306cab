package courier_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/courier"
	"github.com/tokenrelay/tokenrelay/providers/providerstest"
)

const apiKey = "pk_prod_secret/key+with%specials="

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, s courier.Settings) *courier.Client {
	t.Helper()
	s.APIKey = apiKey
	c, err := courier.New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestConformance(t *testing.T) {
	t.Parallel()
	courierError := func(w http.ResponseWriter, status int, words string) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"message": words, "type": "invalid_request_error"})
	}
	providerstest.Run(t, providerstest.Subject{
		New: func(t *testing.T, o providerstest.Options) providers.Provider {
			return start(t, courier.Settings{BaseURL: o.BaseURL, BodyToken: true, Timeout: o.Timeout, MaxRetryAfter: o.MaxRetryAfter, Transport: o.Transport})
		},
		Secrets: []string{apiKey},
		Event: func(n int) *event.Event {
			return &event.Event{
				Token:  fmt.Sprintf("ExponentPushToken[ABW7HO9Y7XAQXZ7Y-%03d]", n),
				Type:   "fcm",
				UserID: fmt.Sprintf("user/1234-%03d", n),
			}
		},
		Accept: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) },
		Refuse: func(w http.ResponseWriter, r *http.Request, words string) { courierError(w, 400, words) },
		Error:  courierError,
		Judge: func(status int, body string) providers.Result {
			switch {
			case status < 300 && (body == "" || json.Valid([]byte(body))):
				return providers.OK
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
		Parallel: 64,
	})
}
