package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
)

func ask(t *testing.T, z *zeroLatency, method, target, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	z.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	answer, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(answer)
}

// upload is a call to CleverTap with the tokens of these samples.
func upload(samples ...int) string {
	records := make([]string, len(samples))
	for i, n := range samples {
		records[i] = fmt.Sprintf(`{"type":"token","tokenData":{"id":%q,"type":"fcm"},"objectId":"x"}`, sample(n).Token)
	}
	return `{"d":[` + strings.Join(records, ",") + `]}`
}

func TestZeroLatencyCounts(t *testing.T) {
	t.Parallel()
	z := newZeroLatency()
	if status, _ := ask(t, z, "GET", "/expect?events=70&provider=clevertap&provider=courier", ""); status != http.StatusOK {
		t.Fatalf("expect is %d", status)
	}
	send := func(want string, samples ...int) {
		t.Helper()
		if status, answer := ask(t, z, "POST", "/clevertap/1/upload", upload(samples...)); status != http.StatusOK || answer != want {
			t.Errorf("status %d, answer %s, want %s", status, answer, want)
		}
	}
	send(`{ "status" : "success" , "processed" : 2 , "unprocessed" : [ ]}`, 0, 69)
	send(`{ "status" : "success" , "processed" : 1 , "unprocessed" : [ ]}`, 69)
	for i := range 69 {
		send(`{ "status" : "success" , "processed" : 1 , "unprocessed" : [ ]}`, i)
	}
	for i := range 70 {
		ev := sample(i)
		status, _ := ask(t, z, "PUT", "/courier/users/"+ev.UserID+"/tokens/"+url.PathEscape(ev.Token), "{}")
		if status != http.StatusNoContent {
			t.Fatalf("status %d", status)
		}
	}
	_, answer := ask(t, z, "GET", "/await", "")
	var reports map[string]report
	if err := json.Unmarshal([]byte(answer), &reports); err != nil {
		t.Fatal(err)
	}
	cleverTap, courier := reports["clevertap"], reports["courier"]
	if cleverTap.Calls != 71 || cleverTap.Repeated != 2 || cleverTap.Unknown != 0 || cleverTap.Last < cleverTap.First || cleverTap.First == 0 {
		t.Errorf("clevertap: %+v", cleverTap)
	}
	if courier.Calls != 70 || courier.Repeated != 0 || courier.Unknown != 0 {
		t.Errorf("courier: %+v", courier)
	}
}

// What nobody published makes the measurement an error.
func TestZeroLatencySeesStrangers(t *testing.T) {
	t.Parallel()
	z := newZeroLatency()
	ask(t, z, "GET", "/expect?events=1&provider=courier", "")
	for _, token := range []string{"0000009999abc", "abc", sample(0).Token} {
		ask(t, z, "PUT", "/courier/users/u/tokens/"+token, "")
	}
	_, answer := ask(t, z, "GET", "/await", "")
	var reports map[string]report
	if err := json.Unmarshal([]byte(answer), &reports); err != nil {
		t.Fatal(err)
	}
	if err := new(figures).add(reports, 1); err == nil || err.Error() != "2 tokens at courier that nobody published" {
		t.Errorf("error is %v", err)
	}
}

func TestZeroLatencyRefuses(t *testing.T) {
	t.Parallel()
	z := newZeroLatency()
	for _, target := range []string{"/expect?events=none", "/expect?events=0", "/courier/users/u/tokens/t", "/clevertap/1/upload", "/courier/nothing"} {
		if status, _ := ask(t, z, "PUT", target, ""); status != http.StatusBadRequest {
			t.Errorf("%s is %d", target, status)
		}
	}
}

func TestSampleGoesToBoth(t *testing.T) {
	t.Parallel()
	ev := sample(41)
	data, err := ev.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := event.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, provider := range event.Providers() {
		if route, err := read.Route(provider); route != event.Deliver || err != nil {
			t.Errorf("%s: %v, %v", provider, route, err)
		}
	}
	if i, ok := index([]byte(read.Token)); i != 41 || !ok {
		t.Errorf("index %d, %t", i, ok)
	}
}
