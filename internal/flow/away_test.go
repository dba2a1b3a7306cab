package flow_test

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/flow"
)

func TestAPauseIsShown(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	ensure(t, b.JS)
	w := watch(t, b.URL())
	until := time.Now().Add(time.Hour)
	if _, err := b.JS.PauseConsumer(t.Context(), consumer.EventsStream, event.CleverTap, until); err != nil {
		t.Fatal(err)
	}
	s := await(t, w, "a pause", func(s flow.Snapshot) bool { return !of(t, s, event.CleverTap).PausedUntil.IsZero() })
	if off := of(t, s, event.CleverTap).PausedUntil.Sub(until).Abs(); off > time.Minute || !of(t, s, event.Courier).PausedUntil.IsZero() {
		t.Errorf("paused until %s off, and courier until %s", off, of(t, s, event.Courier).PausedUntil)
	}
	if _, err := b.JS.ResumeConsumer(t.Context(), consumer.EventsStream, event.CleverTap); err != nil {
		t.Fatal(err)
	}
	await(t, w, "no pause", func(s flow.Snapshot) bool { return of(t, s, event.CleverTap).PausedUntil.IsZero() })
}

// hole is a way to the broker that can swallow everything while every
// connection stays up, as a network does whose packets get lost.
type hole struct {
	net.Listener
	way sync.RWMutex // held: nothing goes through
	all sync.WaitGroup
}

func newHole(t *testing.T, url string) *hole {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hole{Listener: listener}
	h.all.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://"))
			if err != nil {
				near.Close()
				continue
			}
			h.all.Go(func() { h.pass(near, far) })
			h.all.Go(func() { h.pass(far, near) })
		}
	})
	t.Cleanup(func() { listener.Close(); h.all.Wait() })
	return h
}

func (h *hole) pass(to io.WriteCloser, from io.ReadCloser) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		h.way.RLock()
		_, failed := to.Write(buffer[:n])
		h.way.RUnlock()
		if err != nil || failed != nil {
			return
		}
	}
}

// What was known stands while nobody answers, and only the oldest gets older.
func TestInABlackHoleTheLastKnownFiguresStand(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	ensure(t, b.JS)
	put(t, b.JS, consumer.EventsSubject, `{}`)
	put(t, b.JS, "tokens.dlq.clevertap.531", `{}`)
	h := newHole(t, b.URL())
	_, js := brokertest.Connect(t, "nats://"+h.Addr().String())
	w := flow.NewWatch(flow.Settings{JS: js, Every: round, Wait: time.Second})
	run(t, w)
	repeat(t, func() { _ = b.Conn.Publish(flow.Subject, announcement("a", 0, 10, 0, false)) }, w, func(s flow.Snapshot) bool {
		p := of(t, s, event.CleverTap)
		return p.Pods == 1 && p.Waiting == 1 && p.Oldest > 0 && p.Letters == 1
	})
	h.way.Lock()
	open := sync.OnceFunc(h.way.Unlock)
	t.Cleanup(open)
	gone := await(t, w, "the broker is away", func(s flow.Snapshot) bool { return s.Away != "" })
	s := await(t, w, "many rounds later", func(s flow.Snapshot) bool { return s.At.Sub(gone.At) > 20*round })
	open()
	before, after := of(t, gone, event.CleverTap), of(t, s, event.CleverTap)
	if after.Pods != 1 || after.OpenCalls != 2 || after.PermitCap != 3 || !after.Known || after.Waiting != 1 || after.Letters != 1 || !after.LettersKnown {
		t.Errorf("the last known figures do not stand: %q, %+v", s.Away, after)
	}
	if after.Oldest-before.Oldest != s.At.Sub(gone.At) {
		t.Errorf("the oldest got older by %s within %s", after.Oldest-before.Oldest, s.At.Sub(gone.At))
	}
	await(t, w, "the broker is back, and the pod is gone for good", func(s flow.Snapshot) bool {
		p := of(t, s, event.CleverTap)
		return s.Away == "" && p.Pods == 0 && p.OpenCalls == 0 && p.Waiting == 1
	})
}

// A user whose password was changed meanwhile is told so.
func TestRefusedCredentialsAreSaid(t *testing.T) {
	t.Parallel()
	broker := start(t, server.Options{JetStream: true, StoreDir: t.TempDir(), Users: []*server.User{{Username: "console", Password: "right"}}})
	var password atomic.Value
	password.Store("right")
	nc, js := brokertest.Connect(t, broker.ClientURL(), nats.IgnoreAuthErrorAbort(),
		nats.UserInfoHandler(func() (string, string) { return "console", password.Load().(string) }))
	w := flow.NewWatch(flow.Settings{JS: js, Every: round})
	run(t, w)
	await(t, w, "an answer", func(s flow.Snapshot) bool { return s.Away == "" && of(t, s, event.CleverTap).LettersKnown })
	password.Store("wrong")
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	await(t, w, "the refusal", func(s flow.Snapshot) bool { return strings.HasPrefix(s.Away, "NATS refuses the credentials") })
	password.Store("right")
	await(t, w, "it is let in again", func(s flow.Snapshot) bool { return s.Away == "" })
}

// Who may not ask for letters knows what waits all the same, and knows that it
// does not know.
func TestLettersThatNobodyMayAskForAreUnknown(t *testing.T) {
	t.Parallel()
	broker := start(t, server.Options{JetStream: true, StoreDir: t.TempDir(), Users: []*server.User{
		{Username: "worker", Password: "secret"},
		{Username: "console", Password: "secret", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.INFO.TOKENS_DLQ"}},
		}},
	}})
	_, js := brokertest.Connect(t, broker.ClientURL(), nats.UserInfo("worker", "secret"))
	_, denied := brokertest.Connect(t, broker.ClientURL(), nats.UserInfo("console", "secret"))
	all, some := flow.NewWatch(flow.Settings{JS: js, Every: round}), flow.NewWatch(flow.Settings{JS: denied, Every: round, Wait: time.Second})
	run(t, all)
	run(t, some)
	s := await(t, all, "a first look without a stream", func(s flow.Snapshot) bool { return of(t, s, event.Courier).LettersKnown })
	if p := of(t, s, event.CleverTap); !p.LettersKnown || p.Letters != 0 || s.Away != "" {
		t.Errorf("without a stream: %q, %+v", s.Away, p)
	}
	ensure(t, js)
	put(t, js, consumer.EventsSubject, `{}`)
	put(t, js, "tokens.dlq.courier.400", `{}`)
	await(t, all, "a letter", func(s flow.Snapshot) bool { return of(t, s, event.Courier).Letters == 1 })
	s = await(t, some, "what waits at both", func(s flow.Snapshot) bool {
		return s.Away != "" && of(t, s, event.CleverTap).Waiting == 1 && of(t, s, event.Courier).Waiting == 1
	})
	if p := of(t, s, event.Courier); p.LettersKnown || p.Letters != 0 || !p.Known {
		t.Errorf("without the right to ask: %+v", p)
	}
}

// Who may not listen knows that it does not know, while what the broker says of
// who takes events goes on; and it listens once it may.
func TestWhoMayNotListenIsDeafUntilItMay(t *testing.T) {
	t.Parallel()
	users := func(console *server.Permissions) []*server.User {
		return []*server.User{{Username: "worker", Password: "secret"}, {Username: "console", Password: "secret", Permissions: console}}
	}
	options := server.Options{JetStream: true, StoreDir: t.TempDir(),
		Users: users(&server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{flow.Subject}}})}
	broker := start(t, options)
	nc, worker := brokertest.Connect(t, broker.ClientURL(), nats.UserInfo("worker", "secret"))
	ensure(t, worker)
	_, js := brokertest.Connect(t, broker.ClientURL(), nats.UserInfo("console", "secret"), nats.PermissionErrOnSubscribe(true))
	log := &book{}
	w := flow.NewWatch(flow.Settings{JS: js, Every: round, Log: slog.New(slog.NewTextHandler(log, nil))})
	run(t, w)
	s := await(t, w, "it is deaf", func(s flow.Snapshot) bool { return s.Deaf && of(t, s, event.CleverTap).Known })
	if of(t, s, event.CleverTap).Served {
		t.Error("served by nobody")
	}
	inbox := nats.NewInbox()
	if _, err := nc.SubscribeSync(inbox); err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.TOKENS.courier", inbox, []byte("1")); err != nil {
		t.Fatal(err)
	}
	await(t, w, "it is served by somebody unheard", func(s flow.Snapshot) bool {
		p := of(t, s, event.Courier)
		return p.Served && p.Pods == 0 && s.Deaf && !of(t, s, event.CleverTap).Served
	})
	options.Host, options.Port, options.NoSigs, options.NoLog = "127.0.0.1", -1, true, true
	options.Users = users(nil)
	if err := broker.ReloadOptions(&options); err != nil {
		t.Fatal(err)
	}
	repeat(t, func() { _ = nc.Publish(flow.Subject, announcement("a", 0, 5, 0, false)) }, w, func(s flow.Snapshot) bool {
		return !s.Deaf && of(t, s, event.CleverTap).Pods == 1
	})
	if text := log.String(); strings.Count(text, "may not be heard") != 1 {
		t.Errorf("the log has\n%s", text)
	}
}
