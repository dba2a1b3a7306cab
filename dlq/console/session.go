package console

import (
	"crypto/rand"
	"encoding/base64"
	"sync"
	"sync/atomic"
	"time"
)

const (
	longestSession = 12 * time.Hour // however busy the operator is
	mostSessions   = 1000           // the one used longest ago goes first
	mostSearches   = 16             // of one session
)

// session is one operator who has logged in.
type session struct {
	id       string
	operator string       // the name given at login
	pages    atomic.Int64 // that are told of changes

	mu      sync.Mutex
	created time.Time
	used    time.Time
	flash   string // to be told once, on the next page
	persons map[string]person
	order   []string // of persons, oldest first
}

// person is whom letters are searched for. It is personal, so it stays here
// and the page's address has a name for it only.
type person struct{ token, user, object string }

// sessions are kept in memory: a console that starts anew asks everybody for
// the name again.
type sessions struct {
	idle time.Duration

	mu   sync.Mutex
	byID map[string]*session
}

func newSessions(idle time.Duration) *sessions {
	return &sessions{idle: idle, byID: map[string]*session{}}
}

// unguessable is 256 random bits as text.
func unguessable() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

func (s *sessions) begin(operator string) *session {
	now := time.Now()
	fresh := &session{id: unguessable(), operator: operator, created: now, used: now, persons: map[string]person{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	if len(s.byID) >= mostSessions {
		var oldest *session
		for _, other := range s.byID {
			if oldest == nil || other.lastUse().Before(oldest.lastUse()) {
				oldest = other
			}
		}
		delete(s.byID, oldest.id)
	}
	s.byID[fresh.id] = fresh
	return fresh
}

// find is the session of an id, nil when there is none or it is over. A click
// keeps it going; what a page asks by itself does not.
func (s *sessions) find(id string, click bool) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byID[id]
	if found == nil {
		return nil
	}
	now := time.Now()
	if found.over(now, s.idle) {
		delete(s.byID, id)
		return nil
	}
	if click {
		found.mu.Lock()
		found.used = now
		found.mu.Unlock()
	}
	return found
}

func (s *sessions) close(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
}

func (s *sessions) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.byID)
}

func (s *sessions) sweep(now time.Time) {
	for id, one := range s.byID {
		if one.over(now, s.idle) {
			delete(s.byID, id)
		}
	}
}

func (s *session) lastUse() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

func (s *session) over(now time.Time, idle time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Sub(s.used) >= idle || now.Sub(s.created) >= longestSession
}

// tell leaves a line for the next page.
func (s *session) tell(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flash = line
}

// told takes the line that was left.
func (s *session) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := s.flash
	s.flash = ""
	return line
}

// remember keeps whom to search for and returns its name for addresses.
func (s *session) remember(p person) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, known := range s.persons {
		if known == p {
			return name
		}
	}
	if len(s.order) >= mostSearches {
		delete(s.persons, s.order[0])
		s.order = s.order[1:]
	}
	name := unguessable()[:12]
	s.persons[name] = p
	s.order = append(s.order, name)
	return name
}

func (s *session) remembered(name string) (person, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, known := s.persons[name]
	return p, known
}
