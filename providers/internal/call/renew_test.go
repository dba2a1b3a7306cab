package call

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The next call carries what is new; texts are searched for what was, too.
func TestRenew(t *testing.T) {
	t.Parallel()
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	access := func(key string) Access {
		return Access{Header: http.Header{"Authorization": {key}}, Secrets: []string{key}}
	}
	client := New(Settings{Method: http.MethodPost, Timeout: time.Minute, Connections: 1, Access: access("first-key")})
	t.Cleanup(client.Close)
	ask := func() {
		reply := client.Do(t.Context(), u, nil)
		client.Free(&reply)
	}
	ask()
	client.Renew(access("second-key"))
	ask()
	if got := strings.Join(seen, " "); got != "first-key second-key" {
		t.Errorf("the calls carried %s", got)
	}
	if line := client.Scrubber(nil).Line("", "neither first-key nor second-key"); strings.Contains(line, "-key") {
		t.Errorf("a secret is shown: %s", line)
	}
	for range 2 * mostSecrets {
		client.Renew(access("another-key"))
	}
	if n := len(client.pass.Load().secrets); n > mostSecrets {
		t.Errorf("%d secrets are remembered", n)
	}
}
