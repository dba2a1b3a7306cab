package clevertap_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/providers"
	"github.com/tokenrelay/tokenrelay/providers/clevertap"
)

const (
	longToken = "dYfuuBmHLGI:APA91bEfAq1b6NAmz0uhUbVxwSLqgKF25zDb7vhgajzS-bOAEUKekH_jbzO5oU1Qip-ZLvDpwKccxAxVNjC3rUUJnFTKDUiBcF9AtuG03_PRfjoUxLKHMR9qykK22SiubrLirNzQtNnO"
	oddToken  = "frfsgvrwe:APfdsafsgdfsgghfgfgjkhfsfgdhjhbvcvnetry767456fxsasdf"
)

// examples are the uploads in CleverTap's document and the events they come
// from. Fields for other providers must not show in the request.
func examples() map[string][]*event.Event {
	return map[string][]*event.Event{
		"multi-os.json": {
			{Token: oddToken, Type: "chrome", ObjectID: "QBOpVJZmKilRAzfaiVS86Tovxm75lHxg", Keys: &event.Keys{
				P256dh: "BLc4xRzKlKORKWlbdgFaBrrPK3ydWAHo4M0gs0i1oEKgPpWC5cW8OCzVrOQRv-1npXRWk8udnW3oYhIO4475rds=",
				Auth:   "5I2Bu2oKdyy9CwL8QVF0NQ==",
			}},
			{Token: longToken, Type: "fcm", ObjectID: "__gc4grg4053N1eYkW6OBH71jhFev7b1iP", ID: "e-1", UserID: "user-1"},
			{Token: oddToken, Type: "gcm", ObjectID: "__QlXHaDHBZxZPLEMpPo6VvwdZ7FnbGvWA", Device: &event.Device{Model: "x"}},
			{Token: oddToken, Type: "apns", ObjectID: "-HwB9gZWb3RcKhXCQ222FhAhkjeYQs0Hj", Properties: []byte(`{"a":1}`)},
			{Token: oddToken, Type: "wns", ObjectID: "~9XrS4Dy6GsnDbdX98Ijs63kEtJDQbhJA", Keys: &event.Keys{P256dh: "not", Auth: "sent"}},
			{Token: oddToken, Type: "mpns", ObjectID: "~y9MqjkDGRfbzwwH8fZI6LIXgTKaEPxHr", ExpiryDate: []byte(`false`)},
		},
		"curl.json": {
			{Token: longToken, Type: "gcm", ObjectID: "37b08803c1af4e10849f530264bac7f8"},
		},
	}
}

// TestExamples looks at the bytes on the wire.
func TestExamples(t *testing.T) {
	t.Parallel()
	for name, events := range examples() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, head, body := capture(t)
			c := start(t, clevertap.Settings{BaseURL: base})
			if a := c.Call(t.Context(), prepare(t, c, events...)); a.Result != providers.OK {
				t.Fatalf("got %+v", a)
			}

			wantHead := []string{
				"POST /1/upload HTTP/1.1",
				"Content-Type: application/json; charset=utf-8",
				"X-CleverTap-Account-Id: " + accountID,
				"X-CleverTap-Passcode: " + passcode,
			}
			got := <-head
			for _, line := range wantHead {
				if !strings.Contains(got, line+"\r\n") {
					t.Errorf("no line %q in\n%s", line, got)
				}
			}
			golden, err := os.ReadFile("testdata/" + name)
			if err != nil {
				t.Fatal(err)
			}
			sameJSON(t, <-body, golden)
		})
	}
}

// sameJSON compares in meaning, and then in the order of members too.
func sameJSON(t *testing.T, got, want []byte) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if err := json.Unmarshal(want, &w); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, want); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, compact.Bytes()) {
		t.Errorf("got\n%s\nwant\n%s", got, &compact)
	}
}

// capture serves one request and accepts it.
func capture(t *testing.T) (base string, head chan string, body chan []byte) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	head, body = make(chan string, 1), make(chan []byte, 1)
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		var raw strings.Builder
		in := bufio.NewReader(conn)
		for !strings.HasSuffix(raw.String(), "\r\n\r\n") {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			raw.WriteString(line)
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw.String())))
		if err != nil {
			return
		}
		sent := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(in, sent); err != nil {
			return
		}
		head <- raw.String()
		body <- sent
		var u upload
		if err := json.Unmarshal(sent, &u); err != nil {
			t.Errorf("no JSON was sent: %v", err)
		}
		answer := `{"status":"success","processed":` + strconv.Itoa(len(u.D)) + `,"unprocessed":[]}`
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(answer))+"\r\n\r\n"+answer)
	}()
	t.Cleanup(func() { listener.Close(); <-served })
	return "http://" + listener.Addr().String(), head, body
}

func prepare(t testing.TB, c *clevertap.Client, events ...*event.Event) []providers.Record {
	t.Helper()
	records := make([]providers.Record, len(events))
	for i, e := range events {
		r, err := c.Prepare(e)
		if err != nil {
			t.Fatal(err)
		}
		records[i] = r
	}
	return records
}

func TestPrepareEscapes(t *testing.T) {
	t.Parallel()
	c := start(t, clevertap.Settings{})
	e := &event.Event{Token: "a\"\\/<é\u2028😀", Type: "fcm", ObjectID: "{},[]"}
	r := prepare(t, c, e)[0]
	var got struct {
		TokenData struct{ ID, Type string } `json:"tokenData"`
		ObjectID  string                    `json:"objectId"`
	}
	if err := json.Unmarshal(r.Body, &got); err != nil {
		t.Fatal(err)
	}
	if got.TokenData.ID != e.Token || got.ObjectID != e.ObjectID || r.Event != e || r.Path != "" {
		t.Errorf("got %+v from %s", got, r.Body)
	}
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	c := start(t, clevertap.Settings{})
	for field, e := range map[string]*event.Event{
		"token":       {Type: "fcm", ObjectID: "o"},
		"type":        {Token: "t", ObjectID: "o"},
		"object_id":   {Token: "t", Type: "fcm"},
		"keys.auth":   {Token: "t", Type: "chrome", ObjectID: "o", Keys: &event.Keys{P256dh: "p"}},
		"keys.p256dh": {Token: "t", Type: "chrome", ObjectID: "o", Keys: &event.Keys{P256dh: "\xff", Auth: "a"}},
		"keys":        {Token: "t", Type: "chrome", ObjectID: "o"},
	} {
		_, err := c.Prepare(e)
		v, ok := errors.AsType[*event.Violation](err)
		if !ok || v.Field != field {
			t.Errorf("want a violation of %s, got %v", field, err)
		}
	}
}
