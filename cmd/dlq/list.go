package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/internal/phrase"
)

type listCommand struct {
	Filter filterFlags `embed:"" group:"Which letters"`
	Limit  int         `default:"50" min:"0" help:"The newest so many; 0 is all."`
	JSON   bool        `name:"json" help:"A line of JSON each."`
	Reveal bool        `help:"Show tokens and ids, which are personal."`
	NATS   config.NATS `embed:"" group:"The broker"`
}

// Run lists letters, newest first.
func (c *listCommand) Run(ctx context.Context, std streams) error {
	filter, err := c.Filter.read(ctx, std)
	if err != nil {
		return err
	}
	link, err := std.connect(ctx, c.NATS, "list")
	if err != nil {
		return err
	}
	defer link.close()
	filter.Limit = c.Limit
	veil := dlq.NewVeil(c.Reveal)
	show := printTable(std.out, veil)
	if c.JSON {
		show = printLines(std.out, veil)
	}
	shown := 0
	for l, err := range link.letters.Newest(ctx, filter, dlq.End, dlq.Whole) {
		if err != nil {
			return err
		}
		if err := show(l); err != nil {
			return err
		}
		shown++
	}
	if err := show(nil); err != nil || c.JSON {
		return err
	}
	switch {
	case shown == 0:
		printf(std.err, "no letters%s\n", such(filter))
	case c.Limit > 0 && shown == c.Limit:
		printf(std.err, "the newest %d; --limit 0 lists all, `dlq groups` sums them up\n", shown)
	}
	return nil
}

// such says that there may be others.
func such(f dlq.Filter) string {
	if f.Selects() {
		return " that match"
	}
	return ""
}

// listed is a letter as a line of `dlq list --json` has it.
type listed struct {
	ID            string    `json:"id"`
	Seq           uint64    `json:"seq"`
	Provider      string    `json:"provider"`
	Code          string    `json:"code"`
	Reason        string    `json:"reason"`
	HTTPStatus    int       `json:"http_status,omitzero"`
	Generation    int       `json:"generation"`
	FailedAt      time.Time `json:"failed_at"`
	FirstFailedAt time.Time `json:"first_failed_at"`
	Token         string    `json:"token,omitzero"`
	UserID        string    `json:"user_id,omitzero"`
	ObjectID      string    `json:"object_id,omitzero"`
}

// printLines prints a letter a line; nil ends the list.
func printLines(out io.Writer, veil *dlq.Veil) func(*dlq.Stored) error {
	return func(l *dlq.Stored) error {
		if l == nil {
			return nil
		}
		p := dlq.WhoseIs(l.Body)
		line, err := jsonLine(listed{l.ID, l.Seq, l.Provider, l.Code, l.Reason, l.Status, l.Generation,
			l.FailedAt.UTC(), l.FirstFailedAt.UTC(), veil.Token(p.Token), veil.Value(p.User), veil.Value(p.Object)})
		if err == nil {
			_, err = out.Write(line)
		}
		return err
	}
}

// tableRows is after how many rows columns are laid out anew, so that a long
// list appears while it is read.
const tableRows = 200

// printTable prints rows; nil ends the table.
func printTable(out io.Writer, veil *dlq.Veil) func(*dlq.Stored) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	rows := 0
	return func(l *dlq.Stored) error {
		if l == nil {
			return w.Flush()
		}
		if rows == 0 {
			printf(w, "DIED\tPROVIDER\tCODE\tGEN\tTOKEN\tID\tREASON\n")
		}
		p := dlq.WhoseIs(l.Body)
		printf(w, "%s\n", strings.Join([]string{phrase.When(l.FailedAt), printable(l.Provider), printable(l.Code), strconv.Itoa(l.Generation),
			orDash(printable(veil.Token(p.Token))), printable(l.ID), printable(l.Reason)}, "\t"))
		if rows++; rows%tableRows == 0 {
			return w.Flush()
		}
		return nil
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// jsonLine is a line of JSON in which nothing speaks to a terminal: what does
// not print is escaped, and what is no UTF-8 replaced.
func jsonLine(value any) ([]byte, error) {
	text, err := json.Marshal(value, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, err
	}
	line := make([]byte, 0, len(text)+1)
	for _, r := range string(text) { // control characters below 0x20 are escaped already
		switch {
		case strconv.IsPrint(r):
			line = utf8.AppendRune(line, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			line = fmt.Appendf(line, `\u%04x\u%04x`, high, low)
		default:
			line = fmt.Appendf(line, `\u%04x`, r)
		}
	}
	return append(line, '\n'), nil
}

// printable keeps what came from outside from speaking to the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
