package console

import (
	"bytes"
	"net/http"
	"time"
)

const (
	// calm is the least time between two changes of a page.
	calm = 200 * time.Millisecond
	// heartbeat is when a page at the latest gets a sign of life, so that a
	// proxy between does not give up.
	heartbeat     = 15 * time.Second
	mostPages     = 200 // open at a time
	mostPagesEach = 20  // of one session, so that it leaves room for others
)

// live tells a page what has changed, as server-sent events: each has the
// page's parts rendered anew, by the same templates.
func (c *Console) live(w http.ResponseWriter, r *http.Request, s *session) {
	parts := c.parts(r)
	if parts == nil {
		w.WriteHeader(http.StatusNoContent) // the browser does not ask again
		return
	}
	all, own := c.listeners.Add(1), s.pages.Add(1)
	defer c.listeners.Add(-1)
	defer s.pages.Add(-1)
	if all > mostPages || own > mostPagesEach {
		http.Error(w, "too many pages are open", http.StatusTooManyRequests)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := patient{w, http.NewResponseController(w)}
	var last []byte
	sent := time.Now()
	for {
		flow, jobs := c.flow.Changed(), c.jobs.changed()
		text, more, err := parts(s)
		if err != nil {
			c.Log.Error("console: page", "err", err)
			return
		}
		switch {
		case !bytes.Equal(text, last):
			if _, err := out.Write(serverSent("parts", text)); err != nil {
				return
			}
			last, sent = text, time.Now()
		case time.Since(sent) >= c.heartbeat:
			if _, err := out.Write(serverSent("alive", nil)); err != nil {
				return
			}
			sent = time.Now()
		}
		if !more {
			_, _ = out.Write(serverSent("ended", nil))
			return
		}
		if !pause(r.Context(), calm) {
			return
		}
		timer := time.NewTimer(c.heartbeat)
		select {
		case <-flow:
		case <-jobs:
		case <-timer.C:
		case <-r.Context().Done():
		}
		timer.Stop()
		if r.Context().Err() != nil || c.sessions.find(s.id, false) == nil {
			return // the browser asks again, and learns that it is logged out
		}
	}
}

// parts renders what of a page changes, and says whether it may change again.
func (c *Console) parts(r *http.Request) func(*session) (text []byte, more bool, err error) {
	switch r.URL.Query().Get("page") {
	case "overview":
		return func(s *session) ([]byte, bool, error) {
			c.tally.poke()
			view := c.overview()
			view.CSRF = c.sign(s.id)
			text, err := c.render("overview-parts", view)
			return text, true, err
		}
	case "job":
		j := c.jobs.find(r.URL.Query().Get("id"))
		if j == nil {
			return nil
		}
		return func(s *session) ([]byte, bool, error) {
			view := c.jobPageView(j, frame{CSRF: c.sign(s.id)})
			text, err := c.render("job-parts", view)
			return text, !view.Job.State.ended(), err
		}
	}
	return nil
}

// serverSent is an event in the form that browsers read.
func serverSent(name string, data []byte) []byte {
	var b bytes.Buffer
	b.WriteString("event: " + name + "\n")
	// Each of \r\n, \r and \n ends a line there, and outside texts may have any.
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		b.WriteString("data: ")
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.Bytes()
}
