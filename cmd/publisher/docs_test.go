package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// block is one fenced example: its kind and its name stand behind the fence.
type block struct {
	kind, name, text string
	line             int
}

func blocks(t *testing.T, page string) []block {
	t.Helper()
	var list []block
	fenced := regexp.MustCompile("(?ms)^```([a-z]+) ?([^\n]*)\n(.*?)^```$")
	for _, at := range fenced.FindAllStringSubmatchIndex(page, -1) {
		list = append(list, block{page[at[2]:at[3]], page[at[4]:at[5]], page[at[6]:at[7]], 1 + strings.Count(page[:at[0]], "\n")})
	}
	if marks := strings.Count(page, "\n```"); len(list) != marks/2 || len(list) == 0 {
		t.Fatalf("%d blocks of %d marks understood", len(list), marks)
	}
	return list
}

// docs is a reader who does what docs/publishing.md says, top to bottom.
type docs struct {
	*world
	t      *testing.T
	output string // of the last command
	first  string // first line printed by the programs of the last sh block
}

func TestDocumentedExamplesWork(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/publishing.md")
	if err != nil {
		t.Fatal(err)
	}
	d := &docs{world: newWorld(t), t: t}
	for _, b := range blocks(t, string(page)) {
		at := fmt.Sprintf("docs/publishing.md:%d", b.line)
		switch strings.TrimSpace(b.kind + " " + strings.Split(b.name, " ")[0]) {
		case "sh":
			d.first = ""
			for command := range strings.SplitSeq(strings.TrimSpace(b.text), "\n") {
				d.shell(at, command)
			}
		case "json answer":
			d.same(at, d.output, b.text)
		case "json refusal":
			d.same(at, d.refused(at, b.text), b.text)
		case "json outcome":
			var out publisher.Outcome
			if err := json.Unmarshal([]byte(b.text), &out, json.RejectUnknownMembers(true)); err != nil || reflect.ValueOf(out).IsZero() {
				t.Errorf("%s: %+v, %v", at, out, err)
			}
		case "json reject":
			d.same(at, d.read(t, strings.TrimPrefix(b.name, "reject ")), b.text)
		case "text output":
			if d.first+"\n" != b.text {
				t.Errorf("%s: the output is %q", at, d.first)
			}
		case "protocol":
			d.protocol(at, b.text)
		case "go":
			example, err := os.ReadFile("../../publisher/example_test.go")
			if err != nil || !strings.Contains(string(example), b.text) {
				t.Errorf("%s: not the code of publisher/example_test.go (%v)", at, err)
			}
		case "jsonl " + b.name, "csv " + b.name:
			d.write(t, b.name, b.text)
		default:
			t.Errorf("%s: nothing checks a block of %q", at, b.kind+" "+b.name)
		}
	}
	for _, m := range d.stored(t) {
		if _, err := event.Decode(m.Data()); err != nil {
			t.Errorf("message %v stored on %s is no event: %v", m.Headers(), m.Subject(), err)
		}
	}
}

// same compares JSON by its meaning.
func (d *docs) same(at, got, want string) {
	d.t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		d.t.Errorf("%s: %v", at, err)
	}
	if err := json.Unmarshal([]byte(strings.TrimSpace(got)), &g); err != nil || !reflect.DeepEqual(g, w) {
		d.t.Errorf("%s: it is %s (%v)", at, got, err)
	}
}

// shell runs one command of the few that the page uses.
func (d *docs) shell(at, command string) {
	d.t.Helper()
	words := split(command)
	stdin := ""
	if len(words) > 3 && words[0] == "echo" && words[2] == "|" {
		stdin, words = words[1]+"\n", words[3:]
	}
	switch words[0] {
	case "export":
	case "nats":
		d.nats(at, words[1:])
	case "publisher":
		for i, word := range words { // files are in the test's folder
			if ext := filepath.Ext(word); slices.Contains([]string{".jsonl", ".csv", ".bad"}, ext) {
				words[i] = d.path(word)
			}
		}
		r := d.run(bounded(d.t), stdin, words[1:]...)
		if r.code != 0 && !strings.Contains(command, "--rejects") {
			d.t.Errorf("%s: %s: exit code %d: %s", at, command, r.code, r.stderr)
		}
		if d.first == "" {
			d.first, _, _ = strings.Cut(r.stdout, "\n")
		}
	default:
		d.t.Errorf("%s: nothing runs %q", at, command)
	}
}

// nats does what the nats command would.
func (d *docs) nats(at string, words []string) {
	d.t.Helper()
	m := nats.NewMsg("")
	var plain []string
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "--raw":
		case "-H":
			i++
			name, value, ok := strings.Cut(words[i], ":")
			if !ok {
				d.t.Errorf("%s: header %q", at, words[i])
			}
			m.Header.Set(name, value)
		default:
			plain = append(plain, words[i])
		}
	}
	if len(plain) != 3 {
		d.t.Fatalf("%s: nats %q: want a command, a subject and a body", at, plain)
	}
	m.Subject, m.Data = plain[1], []byte(plain[2])
	before := d.count(d.t)
	switch plain[0] {
	case "pub":
		if err := d.Conn.PublishMsg(m); err != nil {
			d.t.Errorf("%s: %v", at, err)
		}
		until(d.t, "it is stored", func() bool { return d.count(d.t) > before })
	case "request":
		answer, err := d.Conn.RequestMsgWithContext(bounded(d.t), m)
		if err != nil {
			d.t.Fatalf("%s: %v", at, err)
		}
		d.output = string(answer.Data)
	default:
		d.t.Errorf("%s: nothing runs nats %s", at, plain[0])
	}
}

// refused makes the stream refuse a message with the code that the example has.
func (d *docs) refused(at, example string) string {
	d.t.Helper()
	var want struct {
		Error struct {
			Code int `json:"err_code"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(example), &want); err != nil {
		d.t.Errorf("%s: %v", at, err)
	}
	m := nats.NewMsg("tokens.registered")
	conn := d.Conn
	switch want.Error.Code {
	case 10054:
		m.Data = make([]byte, event.MaxBytes+1)
	case 10060:
		m.Header.Set(jetstream.ExpectedStreamHeader, "OTHER")
	case 10077:
		conn = newWorld(d.t, func(c *jetstream.StreamConfig) { c.MaxBytes = 10 }).Conn
	default:
		d.t.Errorf("%s: nothing provokes %d", at, want.Error.Code)
	}
	answer, err := conn.RequestMsgWithContext(bounded(d.t), m)
	if err != nil {
		d.t.Fatalf("%s: %v", at, err)
	}
	return string(answer.Data)
}

// protocol says the lines of the client and waits for those of the server.
func (d *docs) protocol(at, text string) {
	d.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.URL(), "nats://"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := bounded(d.t).Deadline()
	_ = conn.SetDeadline(deadline)
	in := bufio.NewReader(conn)
	for l := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if said, ok := strings.CutPrefix(l, "C:"); ok {
			if _, err := fmt.Fprintf(conn, "%s\r\n", strings.TrimPrefix(said, " ")); err != nil {
				d.t.Fatalf("%s: %v", at, err)
			}
			continue
		}
		want, open := strings.CutSuffix(strings.TrimPrefix(l, "S: "), "…")
		got, err := in.ReadString('\n')
		got = strings.TrimRight(got, "\r\n")
		if said := got == want || open && strings.HasPrefix(got, want); err != nil || !said {
			d.t.Fatalf("%s: the server says %q (%v), not %q", at, got, err, want)
		}
	}
}

// split is a shell's way with quotes, as far as the page needs it.
func split(command string) []string {
	var words []string
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(command, -1) {
		words = append(words, m[1]+m[2])
	}
	return words
}
