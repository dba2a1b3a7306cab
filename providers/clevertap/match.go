package clevertap

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/providers"
)

// echo is what an unprocessed record says about which one it was.
type echo struct {
	id, objectID, kind string
	number             int // 1-based "Skipped record number"; 0 when absent or out of range
}

// match finds for each unprocessed record the one that was sent, by rising
// index, each a different one. CleverTap echoes the record, but numbers become
// strings and strings numbers, so texts are compared; where that finds nobody,
// the number in the error's text must do.
func match(unprocessed []unprocessed, records []providers.Record) (refused []refusal, problem string) {
	m := matching{records: records, taken: make([]bool, len(records))}
	refused = make([]refusal, len(unprocessed))
	for i, u := range unprocessed {
		refused[i] = refusal{index: -1, unprocessed: u, echo: readEcho(u, len(records))}
	}
	// The surest first, so that an echo which fits two equal records does not
	// take the one that another names.
	for _, claim := range []func(echo) (int, bool){m.byAll, m.byNumber, m.byEchoAndType, m.byEchoAndNumber, m.byEcho} {
		for i := range refused {
			if refused[i].index >= 0 {
				continue
			}
			if index, ok := claim(refused[i].echo); ok {
				refused[i].index = index
				m.taken[index] = true
			}
		}
	}
	for _, r := range refused {
		if r.index < 0 {
			return nil, "an unprocessed record that is none of those sent, or one of them twice"
		}
	}
	slices.SortFunc(refused, func(a, b refusal) int { return a.index - b.index })
	return refused, ""
}

type matching struct {
	records []providers.Record
	taken   []bool
}

// byAll takes the record that echo, type and number agree on.
func (m *matching) byAll(e echo) (int, bool) {
	i, ok := m.byEchoAndNumber(e)
	return i, ok && m.records[i].Event.Type == e.kind
}

// byEchoAndNumber takes a record that echo and number agree on.
func (m *matching) byEchoAndNumber(e echo) (int, bool) {
	i := e.number - 1
	return i, i >= 0 && !m.taken[i] && m.is(i, e)
}

// byNumber takes the numbered record when the echo is nobody's and what is
// left of it does not speak for another record.
func (m *matching) byNumber(e echo) (int, bool) {
	i := e.number - 1
	if i < 0 || m.taken[i] {
		return 0, false
	}
	sameToken, sameObject := false, false
	for k := range m.records {
		sent := m.records[k].Event
		if m.is(k, e) {
			return 0, false
		}
		sameToken = sameToken || sent.Token == e.id
		sameObject = sameObject || sent.ObjectID == e.objectID
	}
	sent := m.records[i].Event
	return i, (!sameToken || sent.Token == e.id) && (!sameObject || sent.ObjectID == e.objectID)
}

// byEchoAndType tells apart a token that was sent under two types.
func (m *matching) byEchoAndType(e echo) (int, bool) {
	for i := range m.records {
		if !m.taken[i] && m.is(i, e) && m.records[i].Event.Type == e.kind {
			return i, true
		}
	}
	return 0, false
}

// byEcho takes the first record that is left of those echoed.
func (m *matching) byEcho(e echo) (int, bool) {
	for i := range m.records {
		if !m.taken[i] && m.is(i, e) {
			return i, true
		}
	}
	return 0, false
}

func (m *matching) is(i int, e echo) bool {
	sent := m.records[i].Event
	return sent.Token == e.id && sent.ObjectID == e.objectID
}

func readEcho(u unprocessed, sent int) echo {
	var r struct {
		TokenData struct {
			ID   jsontext.Value `json:"id"`
			Type jsontext.Value `json:"type"`
		} `json:"tokenData"`
		ObjectID jsontext.Value `json:"objectId"`
	}
	// An echo of another shape names nobody, and the number may still do.
	_ = json.Unmarshal(u.Record, &r, jsontext.AllowInvalidUTF8(true))
	return echo{
		id:       text(r.TokenData.ID),
		objectID: text(r.ObjectID),
		kind:     text(r.TokenData.Type),
		number:   skipped(text(u.Error), sent),
	}
}

// skipped reads N from "Skipped record number : N", 0 when it is not there or
// none of 1 to sent. The last one counts: CleverTap appends it to a text that
// may quote the event.
func skipped(message string, sent int) int {
	const words = "skipped record number"
	at := strings.LastIndex(strings.ToLower(message), words)
	if at < 0 || at+len(words) > len(message) {
		return 0
	}
	n, digits := 0, false
	for _, c := range []byte(strings.TrimLeft(message[at+len(words):], " :")) {
		if c < '0' || c > '9' {
			break
		}
		digits = true
		if n = n*10 + int(c-'0'); n > sent {
			return 0
		}
	}
	if !digits {
		return 0
	}
	return n
}
