package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a running sandbox and a client of its own.
type world struct {
	*sandbox.Server
	t      *testing.T
	client *http.Client
}

func start(t *testing.T, settings sandbox.Settings) *world {
	t.Helper()
	s, err := sandbox.Start(settings)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	client := &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 16},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       30 * time.Second,
	}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &world{Server: s, t: t, client: client}
}

// reply is an answer read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

func (w *world) do(ctx context.Context, method, target, body string, header map[string]string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := w.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(text)}, err
}

func cleverTapHeader() map[string]string {
	return map[string]string{
		"X-CleverTap-Account-Id": sandbox.DefaultAccountID,
		"X-CleverTap-Passcode":   sandbox.DefaultPasscode,
		"Content-Type":           "application/json; charset=utf-8",
	}
}

func courierHeader() map[string]string {
	return map[string]string{"Authorization": "Bearer " + sandbox.DefaultAPIKey, "Content-Type": "application/json"}
}

// token is one good record of CleverTap.
func token(objectID, token string) string {
	return fmt.Sprintf(`{"type":"token","tokenData":{"id":%q,"type":"fcm"},"objectId":%q}`, token, objectID)
}

func batch(records ...string) string { return `{"d":[` + strings.Join(records, ",") + `]}` }

func tokens(n int) []string {
	records := make([]string, n)
	for i := range records {
		records[i] = token(fmt.Sprintf("o%d", i+1), fmt.Sprintf("t%d", i+1))
	}
	return records
}

func (w *world) tryUpload(records ...string) (reply, error) {
	return w.do(w.t.Context(), http.MethodPost, w.CleverTapURL()+"/1/upload", batch(records...), cleverTapHeader())
}

func (w *world) upload(records ...string) reply {
	w.t.Helper()
	r, err := w.tryUpload(records...)
	if err != nil {
		w.t.Fatalf("upload: %v", err)
	}
	return r
}

func (w *world) tryPut(userID, token, body string) (reply, error) {
	target := w.CourierURL() + "/users/" + url.PathEscape(userID) + "/tokens/" + url.PathEscape(token)
	return w.do(w.t.Context(), http.MethodPut, target, body, courierHeader())
}

func (w *world) put(userID, token, body string) reply {
	w.t.Helper()
	r, err := w.tryPut(userID, token, body)
	if err != nil {
		w.t.Fatalf("put: %v", err)
	}
	return r
}

func (w *world) rules(rules ...sandbox.Rule) {
	w.t.Helper()
	if err := w.SetRules(rules...); err != nil {
		w.t.Fatalf("SetRules: %v", err)
	}
}

// await waits for the report to fulfil a condition.
func (w *world) await(what string, condition func(sandbox.Report) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	if err := w.Wait(ctx, condition); err != nil {
		w.t.Fatalf("%s did not come about: %v; report %+v", what, err, w.Report())
	}
}

const android = `{"provider_key":"firebase-fcm"}`

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func sameJSON(t *testing.T, what, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("%s: %v in %s", what, err, got)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatalf("%s: %v in %s", what, err, want)
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if !bytes.Equal(x, y) {
		t.Errorf("%s:\n got %s\nwant %s", what, x, y)
	}
}
