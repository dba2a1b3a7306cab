package console

import (
	"net/url"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq"
)

// choice is which letters a page or a form is about: the words of the one
// filter language, and the name of a person that the session keeps.
type choice struct {
	dlq.FilterText
	Group  bool   // Reason is all of a group's reason
	Person string // see session.remember
}

// readChoice takes a choice from a page's address or from a form.
func readChoice(v url.Values) choice {
	word := func(name string) string { return strings.TrimSpace(v.Get(name)) }
	return choice{
		FilterText: dlq.FilterText{Provider: word("provider"), Code: word("code"), Reason: word("reason"),
			Since: word("since"), Until: word("until"), Generation: word("generation")},
		Group: v.Get("group") == "1", Person: word("person"),
	}
}

// groupChoice is a group's letters. Those of a group that took in what would
// have been one too many cannot be told from others of their code.
func groupChoice(g dlq.Group) choice {
	c := choice{FilterText: dlq.FilterText{Provider: g.Provider, Code: g.Code, Reason: g.Reason}, Group: true}
	if g.Reason == dlq.OtherReasons {
		c.Reason, c.Group = "", false
	}
	return c
}

// Fields are the choice as a form's hidden fields and an address have it.
func (c choice) Fields() url.Values {
	v := url.Values{}
	for name, text := range map[string]string{"provider": c.Provider, "code": c.Code, "reason": c.Reason,
		"since": c.Since, "until": c.Until, "generation": c.Generation, "person": c.Person} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if c.Group {
		v.Set("group", "1")
	}
	return v
}

// Address is the page of the choice's letters.
func (c choice) Address() string { return withQuery("/letters", c.Fields()) }

func withQuery(path string, v url.Values) string {
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// filter is the choice as the letters' room takes it. What it does not
// understand comes back in sentences.
func (c choice) filter(s *session, now time.Time) (dlq.Filter, []string) {
	f, wrong := c.Filter(now)
	f.WholeGroup = c.Group
	var problems []string
	for _, w := range wrong {
		problems = append(problems, w.Field+" is “"+w.Found+"”, it "+w.Allowed)
	}
	if c.Person != "" {
		p, known := s.remembered(c.Person)
		if !known {
			problems = append(problems, "whom you searched for is forgotten: search again")
		}
		f.Token, f.User, f.Object = p.token, p.user, p.object
		if !known { // never fall back to everybody's letters
			f.ID = "nobody"
		}
	}
	return f, problems
}

// Says is the choice in words.
func (c choice) Says() string {
	var parts []string
	if c.Provider != "" || c.Code != "" {
		parts = append(parts, strings.TrimSpace(providerName(c.Provider)+" "+c.Code))
	}
	if c.Reason != "" {
		parts = append(parts, "“"+c.Reason+"”")
	}
	for _, w := range []struct{ what, text string }{{"since", c.Since}, {"until", c.Until}, {"generation", c.Generation}} {
		if w.text != "" {
			parts = append(parts, w.what+" "+w.text)
		}
	}
	if c.Person != "" {
		parts = append(parts, "of one person")
	}
	if len(parts) == 0 {
		return "all letters"
	}
	return "letters: " + strings.Join(parts, ", ")
}

// logged is the choice as a log may have it: what a person typed into a field
// of free text might be personal.
func (c choice) logged() []any {
	args := []any{"provider", c.Provider, "code", c.Code}
	var more []string
	for _, w := range []struct{ what, text string }{{"reason", c.Reason}, {"since", c.Since}, {"until", c.Until},
		{"generation", c.Generation}, {"person", c.Person}} {
		if w.text != "" {
			more = append(more, w.what)
		}
	}
	return append(args, "further_filters", strings.Join(more, ","))
}

// providerName is a provider as it writes itself.
func providerName(provider string) string {
	switch provider {
	case "clevertap":
		return "CleverTap"
	case "courier":
		return "Courier"
	}
	return provider
}
