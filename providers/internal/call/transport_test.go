package call

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/providers"
)

// TestOneWrite: a request that fits the connection's buffer leaves in one
// write, headers and body together; it is inside the package because only here
// the connection can be watched.
func TestOneWrite(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	record := providers.Record{Body: []byte(`{"a":1}`)}
	for name, c := range map[string]struct {
		frame   Frame
		records []providers.Record
	}{
		"bare":   {Frame{}, []providers.Record{record}},
		"framed": {Frame{Open: "[", Between: ",", Close: "]"}, []providers.Record{record, record}},
	} {
		s := Settings{Method: http.MethodPost, Access: Access{Header: http.Header{}}, Frame: c.frame, Timeout: time.Minute, Connections: 1}
		transport := newTransport(s)
		var writes atomic.Int64
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			return &countingConn{conn, &writes}, err
		}
		s.Transport = transport
		client := New(s)
		t.Cleanup(client.Close)
		reply := client.Do(t.Context(), u, c.records)
		if !reply.Whole() || reply.Status != http.StatusOK || writes.Load() != 1 {
			t.Errorf("%s: status %d, whole %v, %d writes; want 200 after 1 write", name, reply.Status, reply.Whole(), writes.Load())
		}
		client.Free(&reply)
	}
}

type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}
