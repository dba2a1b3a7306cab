package flow_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/flow"
)

func counted() map[string]flow.Figures {
	return map[string]flow.Figures{event.CleverTap: {Delivered: 7, Dead: 1, PermitCap: 3}}
}

func TestAnnouncing(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	heard, err := b.Conn.SubscribeSync(flow.Subject)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Conn.Flush(); err != nil {
		t.Fatal(err)
	}
	nc, _ := brokertest.Connect(t, b.URL())
	a := flow.NewAnnouncer(flow.AnnouncerSettings{Pod: "pod-1", Version: "v1.2.3", Every: round, Log: slog.New(slog.DiscardHandler)})
	a.End(nc, counted()) // it never began
	a.Begin()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); a.Run(ctx, nc, counted) }()
	age := int64(-1)
	for range 3 {
		said := next(t, heard)
		if said.Pod != "pod-1" || said.Version != "v1.2.3" || said.Ended || said.Providers[event.CleverTap] != counted()[event.CleverTap] ||
			said.AgeMS <= age || time.Since(said.Started) > patience {
			t.Errorf("%+v", said)
		}
		age = said.AgeMS
	}
	cancel()
	<-ended
	a.End(nc, map[string]flow.Figures{event.CleverTap: {Delivered: 8}})
	for {
		if said := next(t, heard); said.Ended {
			if said.Providers[event.CleverTap].Delivered != 8 {
				t.Errorf("the last: %+v", said)
			}
			return
		}
	}
}

func next(t *testing.T, heard *nats.Subscription) flow.Announcement {
	t.Helper()
	message, err := heard.NextMsg(patience)
	if err != nil {
		t.Fatal(err)
	}
	var said flow.Announcement
	if err := json.Unmarshal(message.Data, &said); err != nil {
		t.Fatalf("%v: %s", err, message.Data)
	}
	return said
}

// A NATS user without the right to announce costs one line in the log, and is
// asked again now and then: rights change. Everything else that it is refused
// stays the worker's matter.
func TestWhoMayNotAnnounceTriesAgain(t *testing.T) {
	t.Parallel()
	users := func(denied ...string) []*server.User {
		return []*server.User{{Username: "listener", Password: "secret"}, {Username: "worker", Password: "secret", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: denied},
		}}}
	}
	const other = "tokenrelay.figures.other"
	options := server.Options{Users: users(flow.Subject, other)}
	broker := start(t, options)
	listener, _ := brokertest.Connect(t, broker.ClientURL(), nats.UserInfo("listener", "secret"))
	heard, err := listener.SubscribeSync(flow.Subject)
	if err != nil {
		t.Fatal(err)
	}
	log := &book{}
	a := flow.NewAnnouncer(flow.AnnouncerSettings{Pod: "pod-1", Every: time.Millisecond, Log: slog.New(slog.NewTextHandler(log, nil))})
	refused, others := make(chan bool, 100), make(chan error, 1)
	nc, _ := brokertest.Connect(t, broker.ClientURL(), nats.UserInfo("worker", "secret"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if a.Refused(err) {
				select {
				case refused <- true:
				default:
				}
				return
			}
			select {
			case others <- err:
			default:
			}
		}))
	a.Begin()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); a.Run(ctx, nc, counted) }()
	<-refused
	<-refused
	if err := nc.Publish(other, nil); err != nil {
		t.Fatal(err)
	}
	if err := <-others; !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("%v", err)
	}
	options.Host, options.Port, options.NoSigs, options.NoLog = "127.0.0.1", -1, true, true
	options.Users = users(other)
	if err := broker.ReloadOptions(&options); err != nil {
		t.Fatal(err)
	}
	if said := next(t, heard); said.Pod != "pod-1" {
		t.Errorf("%+v", said)
	}
	cancel()
	<-ended
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "level=WARN") || !strings.Contains(text, "subject=tokenrelay.figures") {
		t.Errorf("the log has\n%s", text)
	}
}
