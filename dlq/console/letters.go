package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/dlq/replay"
	"github.com/tokenrelay/tokenrelay/event"
)

// lettersView is what letters.html shows.
type lettersView struct {
	frame
	Choice    choice
	Providers []string
	Problems  []string
	Group     *groupView // where the choice is a group
	Letters   []listedLetter
	Next      string // the page of the older ones; empty: there are none
	Newest    string // the first page; empty: this is it
	Defaults  replay.Options
	Settable  []string
}

// listedLetter is a letter in a list, its personal values veiled.
type listedLetter struct {
	*dlq.Stored
	Token, User, Object string
	Address             string
}

const (
	pageOfLetters = 50
	// pageAnswer bounds the search for a page of letters among a million that
	// do not match.
	pageAnswer = 20 * time.Second
)

func (c *Console) lettersPage(w http.ResponseWriter, r *http.Request, s *session) {
	query := r.URL.Query()
	view := lettersView{frame: c.frame(s, "Letters", "letters"), Choice: readChoice(query), Providers: event.Providers(),
		Defaults: replay.Options{Trial: replay.DefaultTrial, MaxFail: replay.DefaultMaxFail}, Settable: replay.Fields()}
	filter, problems := view.Choice.filter(s, time.Now())
	before, err := strconv.ParseUint(query.Get("before"), 10, 64)
	if err != nil && query.Get("before") != "" {
		problems = append(problems, "before is “"+query.Get("before")+"”, it must be a letter's place in the stream")
	}
	if len(problems) > 0 {
		view.Problems = problems
		c.show(w, http.StatusUnprocessableEntity, "letters", view)
		return
	}
	if view.Choice.Group {
		view.Group = c.group(r.Context(), view.Choice)
	}
	if c.away(w, s) {
		return
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), pageAnswer, errors.New("the search took too long: choose a provider or a code"))
	defer cancel()
	filter.Limit = pageOfLetters + 1 // one more tells whether there is a further page
	for l, err := range c.Letters.Newest(ctx, filter, cmp.Or(before, dlq.End), dlq.Whole) {
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if c.away(w, s) {
				return
			}
			view.Problems = append(view.Problems, errorLine(err))
			break
		}
		if len(view.Letters) == pageOfLetters {
			view.Next = withBefore(view.Choice, view.Letters[pageOfLetters-1].Seq)
			break
		}
		p := dlq.WhoseIs(l.Body)
		view.Letters = append(view.Letters, listedLetter{l, c.veil.Token(p.Token), c.veil.Value(p.User), c.veil.Value(p.Object), letterAddress(l)})
	}
	if before > 0 {
		view.Newest = view.Choice.Address()
	}
	status := http.StatusOK
	if len(view.Problems) > 0 {
		status = http.StatusBadGateway
	}
	c.show(w, status, "letters", view)
}

func withBefore(c choice, seq uint64) string {
	v := c.Fields()
	v.Set("before", strconv.FormatUint(seq, 10))
	return withQuery("/letters", v)
}

// group is the counted group of a choice; one without letters when it is gone.
func (c *Console) group(ctx context.Context, of choice) *groupView {
	key := dlq.Key{Provider: of.Provider, Code: of.Code, Reason: of.Reason}
	groups := c.tally.fresh(ctx).Groups
	at := slices.IndexFunc(groups, func(g dlq.Group) bool { return g.Key == key })
	if at < 0 {
		return &groupView{Group: dlq.Group{Key: key}, Meaning: dlq.Explain(key.Provider, key.Code)}
	}
	return &groupView{Group: groups[at], Meaning: dlq.Explain(key.Provider, key.Code)}
}

// letterAddress leads to a letter by its place, which is quick, and has the id
// for when it has moved.
func letterAddress(l *dlq.Stored) string {
	return "/letters/" + strconv.FormatUint(l.Seq, 10) + "?id=" + url.QueryEscape(l.ID)
}

// letterView is what letter.html shows.
type letterView struct {
	frame
	*dlq.Stored
	dlq.Meaning
	Revealed bool
	Headers  []headerView // of the message that died
	Event    string
	Choice   choice // the letters of its group
}

type headerView struct{ Name, Value string }

func (c *Console) letterPage(w http.ResponseWriter, r *http.Request, s *session) {
	if l := c.letter(w, r, s); l != nil {
		c.showLetter(w, s, l, c.veil)
	}
}

// reveal shows one letter in full. It is the answer to a form, which browsers
// keep no page of to come back to; the address alone shows nothing.
func (c *Console) reveal(w http.ResponseWriter, r *http.Request, s *session) {
	if l := c.letter(w, r, s); l != nil {
		c.Log.Info("console: revealed", "operator", s.operator, "letter", l.ID, "seq", l.Seq)
		c.showLetter(w, s, l, nil)
	}
}

// hide is where a revealed letter's address leads to who asks for it again.
func (c *Console) hide(w http.ResponseWriter, r *http.Request, s *session) {
	if l := c.letter(w, r, s); l != nil {
		//nolint:gosec // an address of our own
		http.Redirect(w, r, letterAddress(l), http.StatusSeeOther)
	}
}

// showLetter shows a letter behind a veil; without one, in full.
func (c *Console) showLetter(w http.ResponseWriter, s *session, l *dlq.Stored, veil *dlq.Veil) {
	view := letterView{frame: c.frame(s, "Letter", "letters"), Stored: l, Meaning: dlq.Explain(l.Provider, l.Code), Revealed: veil == nil,
		Choice: groupChoice(dlq.Group{Key: dlq.Key{Provider: l.Provider, Code: l.Code, Reason: dlq.Normalise(l.Code, l.Reason)}})}
	if view.Revealed {
		veil, view.Veiled = dlq.NewVeil(true), letterAddress(l)
	}
	view.Event = veil.Body(l.Body)
	for _, name := range l.EventHeaders() {
		for _, value := range l.Header[name] {
			view.Headers = append(view.Headers, headerView{veil.HeaderName(name), veil.Value(value)})
		}
	}
	c.show(w, http.StatusOK, "letter", view)
}

// letter reads the letter of an address. One that has moved, since it died
// anew, is looked up by its id.
func (c *Console) letter(w http.ResponseWriter, r *http.Request, s *session) *dlq.Stored {
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 64)
	if err != nil || seq == 0 {
		c.problem(w, s, http.StatusNotFound, "There is no such letter.")
		return nil
	}
	if c.away(w, s) {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), pageAnswer, errors.New("the broker does not answer"))
	defer cancel()
	id := r.URL.Query().Get("id")
	l, err := c.Letters.Get(ctx, seq)
	switch {
	case err == nil && (id == "" || id == l.ID):
		return l
	case err != nil && !errors.Is(err, dlq.ErrGone):
		c.problem(w, s, http.StatusBadGateway, errorLine(err))
		return nil
	}
	if id != "" {
		found, err := c.Letters.Find(ctx, id)
		switch {
		case err != nil:
			c.problem(w, s, http.StatusBadGateway, errorLine(err))
			return nil
		case len(found) > 0:
			//nolint:gosec // an address of our own
			http.Redirect(w, r, letterAddress(found[len(found)-1]), http.StatusSeeOther)
			return nil
		}
	}
	c.problem(w, s, http.StatusNotFound, "This letter is not there any more: it was replayed, purged or erased, or it has expired.")
	return nil
}

// identity is a field with an id or a token. White space around it may be part
// of it; alone it is nothing.
func identity(r *http.Request, field string) string {
	value := r.PostFormValue(field)
	if strings.TrimSpace(value) == "" {
		return ""
	}
	return value
}

// find keeps whom an operator looks for out of addresses and logs.
func (c *Console) find(w http.ResponseWriter, r *http.Request, s *session) {
	p := person{token: identity(r, "token"), user: identity(r, "user"), object: identity(r, "object")}
	if p == (person{}) {
		c.problem(w, s, http.StatusUnprocessableEntity, "Give a token, a user_id or an object_id to search for.")
		return
	}
	found := readChoice(r.PostForm)
	found.Person = s.remember(p)
	//nolint:gosec // an address of our own
	http.Redirect(w, r, found.Address(), http.StatusSeeOther)
}
