package ops

import (
	"net/http"
	"sync"
	"time"
)

// Hold is a provider that is set aside for a while. It is shown and does not
// make a pod unready: no other pod would do better.
type Hold struct {
	Provider string    `json:"provider"`
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
}

// State is what /readyz shows.
type State struct {
	Ready bool     `json:"ready"`
	Why   []string `json:"why_not,omitempty"` // empty when ready
	Holds []Hold   `json:"holds"`
	Note  string   `json:"note,omitempty"` // what keeps the pod from a part of its work; it is ready for the rest
}

// Readiness gathers whether this pod should be counted on. Its zero value is
// a pod that starts: not ready. All methods are safe for concurrent use.
type Readiness struct {
	mu        sync.Mutex
	started   bool
	draining  bool
	waiting   string
	connected func() bool
	holds     func() []Hold
	trouble   func() string
}

// SetStarted says that everything is set up and events are being pulled.
func (r *Readiness) SetStarted() { r.set(func() { r.started = true }) }

// SetWaiting says in one line what the start waits for; empty: for nothing in
// particular.
func (r *Readiness) SetWaiting(what string) { r.set(func() { r.waiting = what }) }

// SetDraining says that the pod is on its way out; there is no way back.
func (r *Readiness) SetDraining() { r.set(func() { r.draining = true }) }

// SetNATS hands in how to ask for the connection: (*nats.Conn).IsConnected.
// Until then NATS counts as away.
func (r *Readiness) SetNATS(connected func() bool) { r.set(func() { r.connected = connected }) }

// SetHolds hands in how to ask for the holds there are.
func (r *Readiness) SetHolds(holds func() []Hold) { r.set(func() { r.holds = holds }) }

// SetTrouble hands in how to ask what keeps the pod from a part of its work;
// empty: nothing.
func (r *Readiness) SetTrouble(trouble func() string) { r.set(func() { r.trouble = trouble }) }

func (r *Readiness) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// State asks for everything now.
func (r *Readiness) State() State {
	r.mu.Lock()
	started, draining, waiting, connected, holds, trouble := r.started, r.draining, r.waiting, r.connected, r.holds, r.trouble
	r.mu.Unlock()

	// Outside the lock: what is asked may ask back.
	state := State{Holds: []Hold{}}
	if holds != nil {
		state.Holds = append(state.Holds, holds()...)
	}
	if trouble != nil {
		state.Note = trouble()
	}
	switch {
	case started:
	case waiting == "":
		state.Why = append(state.Why, "starting")
	default:
		state.Why = append(state.Why, "starting: "+waiting)
	}
	if connected == nil || !connected() {
		state.Why = append(state.Why, "NATS is away")
	}
	if draining {
		state.Why = append(state.Why, "draining")
	}
	state.Ready = len(state.Why) == 0
	return state
}

// ServeHTTP answers with the State: 200 when ready, else 503.
func (r *Readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	state := r.State()
	status := http.StatusOK
	if !state.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, state)
}
