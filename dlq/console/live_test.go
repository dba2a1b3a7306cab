package console

import "testing"

// Whatever outside texts have in them, an event stays one event.
func TestServerSent(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		"":                       "event: e\ndata: \n\n",
		"a\nb":                   "event: e\ndata: a\ndata: b\n\n",
		"a\r\revent: e\rdata: b": "event: e\ndata: a\ndata: \ndata: event: e\ndata: data: b\n\n",
		"a\r\nb":                 "event: e\ndata: a\ndata: \ndata: b\n\n",
	} {
		if got := string(serverSent("e", []byte(data))); got != want {
			t.Errorf("%q: %q, want %q", data, got, want)
		}
	}
}
