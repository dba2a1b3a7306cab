package consumer_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// What a server says of a pull may overtake the pull's messages: in a cluster
// they wait for a quorum first.
func TestAStatusOvertakesItsMessages(t *testing.T) {
	t.Parallel()
	const batch = 5
	for name, c := range map[string]struct {
		sizes []int
		said  string // of the pull, beside what the server says itself
		want  int
	}{
		"all are on their way":  {repeated(300, 8), "", batch},
		"the time is over":      {repeated(300, 3), "", 3},
		"the next does not fit": {repeated(60_000, 4), "", 3},
		"another leader":        {repeated(300, 8), "409 Leadership Change", batch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.New(t)
			ensure(t, b.JS, "clevertap")
			publishSized(t, b.JS, c.sizes...)
			url := overtaking(t, strings.TrimPrefix(b.URL(), "nats://"), c.said)
			cons := open(t, url, "clevertap", consumer.Options{Heartbeat: 100 * time.Millisecond})
			s := newSeen()
			p := again(func(ctx context.Context) error { return cons.PullUpTo(ctx, batch, 200_000, 0, s.take) })
			s.wait(t, c.want)
			p.stop(t)
			for i, m := range s.all()[:c.want] {
				if m.Seq() != uint64(i+1) || m.Delivered() != 1 {
					t.Errorf("message %d: seq %d, delivered %d times", i, m.Seq(), m.Delivered())
				}
			}
		})
	}
}

// overtaking is a line to a server on which the first pull's messages arrive
// only after its end.
func overtaking(t testing.TB, server, said string) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var lines sync.WaitGroup
	lines.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				t.Error(err)
				return
			}
			lines.Go(func() {
				defer upstream.Close()
				_, _ = io.Copy(upstream, client) // until one side is closed
			})
			lines.Go(func() {
				defer client.Close()
				(&line{client: client, said: said}).copy(bufio.NewReader(upstream))
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		lines.Wait()
	})
	return "nats://" + listener.Addr().String()
}

// quorum is how long messages take beyond the end of their pull: longer than a
// client needs to give its subscription up.
const quorum = 200 * time.Millisecond

// line is one connection's way from the server.
type line struct {
	said string // by this test, before the first message

	mu      sync.Mutex
	client  io.Writer
	ended   bool // a pull was, and the messages come
	arrived bool
	held    []byte
}

func (l *line) copy(server *bufio.Reader) {
	var agreed sync.WaitGroup
	defer agreed.Wait()
	for {
		words, frame, err := nextFrame(server)
		if err != nil {
			return
		}
		if l.pass(words, frame) {
			agreed.Go(func() {
				time.Sleep(quorum)
				l.release()
			})
		}
	}
}

// pass reports whether this was the end of the first pull.
func (l *line) pass(words []string, frame []byte) (end bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.arrived && len(words) > 3 && strings.HasPrefix(words[3], "$JS.ACK.") {
		l.held = append(l.held, frame...)
		if l.said == "" || l.ended {
			return false
		}
		header := "NATS/1.0 " + l.said + "\r\n\r\n"
		frame = fmt.Appendf(nil, "HMSG %s %s %d %d\r\n%s\r\n", words[1], words[2], len(header), len(header), header)
	}
	_, _ = l.client.Write(frame) // refused when the client is gone
	end = !l.ended && len(l.held) > 0 && bytes.Contains(frame, []byte("\nNATS/1.0 4"))
	l.ended = l.ended || end
	return end
}

func (l *line) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.client.Write(l.held)
	l.arrived = true
}

// nextFrame reads one frame of the protocol: the words of its first line, and
// all of it.
func nextFrame(r *bufio.Reader) (words []string, frame []byte, err error) {
	frame, err = r.ReadBytes('\n')
	words = strings.Fields(string(frame))
	if err != nil || len(words) == 0 || !strings.HasSuffix(words[0], "MSG") {
		return words, frame, err
	}
	size, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		return words, frame, err
	}
	body := make([]byte, size+len("\r\n"))
	_, err = io.ReadFull(r, body)
	return words, append(frame, body...), err
}
