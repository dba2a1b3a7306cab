package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
)

// resumeSubject is where an operator's word reaches every pod, also one that
// keeps a hold alone because it cannot write the bucket.
func resumeSubject(provider string) string { return "tokenrelay.resume." + provider }

// resumeOrder is what is said there, and resumeReply what each pod answers.
type resumeOrder struct {
	Believe bool `json:"believe,omitzero"`
}

type resumeReply struct {
	Pod  string `json:"pod"`
	Held bool   `json:"held"` // by this pod alone
}

// Resumed is what came of a Resume.
type Resumed struct {
	Held bool     // there was a hold
	Pods []string // that have heard of it
}

// Resume ends a hold now, whoever probes, for the whole fleet. With believe
// the pods also take what was refused by name in it for bad.
func (h *Holds) Resume(ctx context.Context, provider string, believe bool) (Resumed, error) {
	// The pods come first: what waits must find their new belief.
	replies, err := h.tellPods(ctx, provider, resumeOrder{Believe: believe})
	if err != nil {
		return Resumed{}, err
	}
	var resumed Resumed
	for _, reply := range replies {
		resumed.Pods = append(resumed.Pods, reply.Pod)
		resumed.Held = resumed.Held || reply.Held
	}
	shared, err := h.endShared(ctx, provider)
	resumed.Held = resumed.Held || shared
	return resumed, err
}

func (h *Holds) endShared(ctx context.Context, provider string) (bool, error) {
	for range 5 {
		rec, _ := h.board.look(holdKey(provider))
		if _, held := decodeHold(rec); !held {
			return false, nil
		}
		_, err := h.board.write(ctx, holdKey(provider), nil, revisionOf(rec.revision))
		if err == nil {
			return true, nil
		}
		if _, ok := errors.AsType[*stale](err); !ok {
			return false, err
		}
	}
	return false, fmt.Errorf("%s: the hold changed five times while it was to be ended; try again", holdKey(provider))
}

// Pods are not counted anywhere, so that their answers are waited for: the
// first one for longer than the next ones.
const (
	firstReply = time.Second
	nextReply  = 250 * time.Millisecond
)

func (h *Holds) tellPods(ctx context.Context, provider string, order resumeOrder) ([]resumeReply, error) {
	conn := h.board.JS.Conn()
	data, err := json.Marshal(order)
	if err != nil {
		return nil, fmt.Errorf("encode an order: %w", err)
	}
	inbox := conn.NewInbox()
	answers, err := conn.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("subscribe for the pods' answers: %w", err)
	}
	defer func() { _ = answers.Unsubscribe() }() // fails only with the connection, which ends it too
	if err := conn.PublishRequest(resumeSubject(provider), inbox, data); err != nil {
		return nil, fmt.Errorf("tell the pods: %w", err)
	}
	var replies []resumeReply
	for wait := firstReply; ; wait = nextReply {
		waiting, cancel := context.WithTimeout(ctx, wait)
		m, err := answers.NextMsgWithContext(waiting)
		cancel()
		if err != nil { // nobody there, or nobody more
			return replies, context.Cause(ctx)
		}
		var reply resumeReply
		if json.Unmarshal(m.Data, &reply) == nil && reply.Pod != "" {
			replies = append(replies, reply)
		}
	}
}

// Listen hears of every Resume until ctx ends. believe is called when what
// was refused by name is to count.
func (h *Holds) Listen(ctx context.Context, provider string, believe func()) error {
	heard, err := h.board.JS.Conn().Subscribe(resumeSubject(provider), func(m *nats.Msg) {
		var order resumeOrder
		if json.Unmarshal(m.Data, &order) != nil {
			return
		}
		if order.Believe {
			believe()
		}
		reply, err := json.Marshal(resumeReply{Pod: h.self, Held: h.endOwn(provider)})
		if err == nil {
			err = m.Respond(reply)
		}
		if err != nil {
			h.log.Debug("a resume was not answered", "err", err)
		}
	})
	if err != nil {
		return fmt.Errorf("listen for resumes: %w", err)
	}
	<-ctx.Done()
	return heard.Unsubscribe()
}

// endOwn ends the hold that only this pod keeps, and reports whether there was
// one.
func (h *Holds) endOwn(provider string) bool {
	h.mu.Lock()
	_, held := h.local[provider]
	delete(h.local, provider)
	h.mu.Unlock()
	if held {
		h.board.stir()
	}
	return held
}
