package delivery

import (
	"context"
	"sync"
	"time"
)

// letterPatience is how long a sender with a permit waits for a place among the
// letters that are being stored. Then this pod cannot store any, and others may
// have its permits: they may know another way, or have places left.
const letterPatience = 5 * time.Second

// jam is a pod's being stuck with its letters.
type jam struct {
	mu    sync.Mutex
	begun chan struct{} // closed while it lasts
}

func newJam() jam { return jam{begun: make(chan struct{})} }

func (j *jam) on() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.begun
}

// begin reports whether it did not last already.
func (j *jam) begin() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	select {
	case <-j.begun:
		return false
	default:
		close(j.begun)
		return true
	}
}

func (j *jam) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	select {
	case <-j.begun:
		j.begun = make(chan struct{})
	default:
	}
}

// placeForLetter takes one of the places of letters that are being stored. It
// reports false when work ends first, or when there is none for a while: who
// holds a permit must not keep it for that.
func (d *Desk) placeForLetter(work context.Context) bool {
	select {
	case d.letters <- struct{}{}:
		return true
	default:
	}
	var jammed <-chan struct{}
	var late <-chan time.Time
	if d.Permits != nil {
		jammed = d.jam.on()
		timer := time.NewTimer(letterPatience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case d.letters <- struct{}{}:
		return true
	case <-work.Done():
	case <-jammed:
	case <-late:
		if d.jam.begin() {
			d.Log.Warn("letters cannot be stored: others may have the permits", "waiting", len(d.letters))
		}
	}
	return false
}

// awaitPlace returns when a letter can be stored again, or at a stop.
func (d *Desk) awaitPlace(stop context.Context) {
	select {
	case d.letters <- struct{}{}:
		<-d.letters
		d.jam.end()
	case <-stop.Done():
	}
}
