package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// loginView is what login.html shows.
type loginView struct {
	frame
	NeedsPassword bool
	Name, To      string
	Problem       string
	Ended         bool // a session, before something was sent
}

// loginPage asks for the name, and for the password where there is one. Its
// form is bound to this browser, so that nobody can log it in from elsewhere.
func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	c.showLogin(w, r, http.StatusOK, loginView{
		To: insider(r.URL.Query().Get("to")), Ended: r.URL.Query().Get("ended") == "1",
	})
}

func (c *Console) showLogin(w http.ResponseWriter, r *http.Request, status int, view loginView) {
	visit := ""
	if cookie, err := r.Cookie(c.cookieName(visitCookie)); err == nil && len(cookie.Value) <= 64 {
		visit = cookie.Value
	}
	if visit == "" {
		visit = unguessable()
		http.SetCookie(w, c.cookie(visitCookie, visit, 24*60*60))
	}
	view.frame = frame{Title: "Log in", CSRF: c.sign("login " + visit)}
	view.NeedsPassword = c.Password != nil
	c.show(w, status, "login", view)
}

const longestName = 64 // characters

// operatorName is a name as it may stand in a log; empty when it may not.
func operatorName(text string) string {
	name := strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(name) > longestName || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return name
}

func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	view := loginView{Name: r.PostFormValue("name"), To: insider(r.PostFormValue("to"))}
	refuse := func(status int, problem string) {
		view.Problem = problem
		c.showLogin(w, r, status, view)
	}
	visit, err := r.Cookie(c.cookieName(visitCookie))
	if err != nil || !c.signed(r, "login "+visit.Value) {
		refuse(http.StatusForbidden, "This form was not made for your browser, or it does not keep cookies. Try again.")
		return
	}
	name := operatorName(view.Name)
	if name == "" {
		view.Name = ""
		refuse(http.StatusUnprocessableEntity, "Give your name, up to 64 characters: what you do here is logged with it.")
		return
	}
	if c.Password != nil {
		given := sha256.Sum256([]byte(r.PostFormValue("password")))
		known := c.knownBrowser(r)
		from := caller{place: placeOf(r.RemoteAddr)}
		if known != "" {
			from = caller{place: "browser " + known, known: true}
		}
		right, err := c.gate.try(r.Context(), from, func() bool {
			want := sha256.Sum256([]byte(c.Password()))
			return subtle.ConstantTimeCompare(given[:], want[:]) == 1
		})
		switch {
		case errors.Is(err, errCrowded) || errors.Is(err, errFlooded):
			w.Header().Set("Retry-After", "30")
			refuse(http.StatusTooManyRequests, tooMany(from, err))
			return
		case err != nil: // the browser has gone
			return
		case !right:
			c.Log.Warn("console: wrong password") // without the name, which may be one typed into the wrong field
			refuse(http.StatusForbidden, "The password is wrong. Each further try takes longer.")
			return
		}
		if known == "" {
			known = unguessable()
		}
		http.SetCookie(w, c.cookie(knownCookie, known+"."+c.sign("known "+known), 30*24*60*60))
	}
	if old, err := r.Cookie(c.cookieName(sessionCookie)); err == nil {
		c.sessions.close(old.Value)
	}
	s := c.sessions.begin(name)
	http.SetCookie(w, c.cookie(sessionCookie, s.id, int(longestSession.Seconds())))
	c.Log.Info("console: logged in", "operator", name)
	http.Redirect(w, r, view.To, http.StatusSeeOther)
}

// knownCookie is kept by a browser that has logged in, so that at the next
// login it need not queue with whoever guesses at its address.
const knownCookie = "known"

// knownBrowser is the id of a browser that has logged in since the console's
// start, empty for any other.
func (c *Console) knownBrowser(r *http.Request) string {
	cookie, err := r.Cookie(c.cookieName(knownCookie))
	if err != nil {
		return ""
	}
	id, seal, _ := strings.Cut(cookie.Value, ".")
	if subtle.ConstantTimeCompare([]byte(seal), []byte(c.sign("known "+id))) != 1 {
		return ""
	}
	return id
}

// tooMany says why a password was not looked at.
func tooMany(from caller, err error) string {
	switch {
	case errors.Is(err, errFlooded):
		return "Too many passwords are being tried from everywhere, so yours was not looked at. Try again in half a minute; " +
			"a browser that has logged in before does not have to wait."
	case from.known:
		return "Too many tries from your browser, so this one was not looked at. Try again in half a minute."
	default:
		return "Too many tries from your address, so this one was not looked at. Try again in half a minute; " +
			"a browser that has logged in before does not have to wait for others."
	}
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request, s *session) {
	c.sessions.close(s.id)
	http.SetCookie(w, c.cookie(sessionCookie, "", -1))
	c.Log.Info("console: logged out", "operator", s.operator)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}
