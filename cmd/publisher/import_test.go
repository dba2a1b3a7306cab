package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestImportJSONLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	input := "\xef\xbb\xbf" + strings.ReplaceAll(jsonLines(1, 2), "\n", "\r\n") + // 1, 2
		"\n  \n" + // 3, 4
		`{"id":"mine","token":"SECRET-token-3","type":"fcm","object_id":"o","unknown": [1]}` + "\n" + // 5
		"SECRET not JSON\n" + // 6
		`{"token":7}` + "\n" + // 7
		"\x00\xff\x01SECRET\n" + // 8
		strings.Repeat("x", maxLine+10) + "\n" + // 9
		`{"token":"` + strings.Repeat("x", 70_000) + `"}` + "\n" + // 10
		`{"token":"SECRET-t","type":"fcm","object_id":"o","destinations":["courier"]}` + "\n" + // 11
		`{"id":"` + strings.Repeat("i", 40_000) + `","token":"SECRET-t","type":"fcm","object_id":"o"}` + "\n" + // 12: its id twice is over the limit
		`{"token":"SECRET-token-4","type":"apns","user_id":"u"}` // 13, without an end
	file := w.write(t, "events.jsonl", input)
	w.run(bounded(t), "", "import", file).want(t, 1,
		"imported: 4 events stored, 7 bad lines in "+file+".rejects; 13 lines in all")
	w.once(t, 4)

	type bad struct {
		Line                  int
		Field, Problem, Input string
	}
	var got []string
	for text := range strings.SplitSeq(strings.TrimSpace(w.read(t, "events.jsonl.rejects")), "\n") {
		var b bad
		if err := json.Unmarshal([]byte(text), &b); err != nil || b.Problem == "" {
			t.Fatalf("reject line %q: %v", text, err)
		}
		if original := strings.Split(input, "\n")[b.Line-1]; b.Input != "" && b.Input != original {
			t.Errorf("line %d: input %q", b.Line, b.Input)
		}
		got = append(got, fmt.Sprintf("%d %s %v", b.Line, b.Field, b.Input != ""))
	}
	want := "6 event true|7 token true|8 event false|9 event false|10 event true|11 user_id true|12 event false"
	if strings.Join(got, "|") != want {
		t.Errorf("rejects\n%s\nwant\n%s", strings.Join(got, "|"), want)
	}

	for _, m := range w.stored(t) {
		if m.Headers().Get("Nats-Msg-Id") == "mine" && !strings.Contains(string(m.Data()), `"unknown": [1]`) {
			t.Errorf("an event with an id is not sent as it was: %s", m.Data())
		}
	}

	// Again: nothing happens, also when the broker has forgotten the ids.
	w.run(bounded(t), "", "import", file).want(t, 1, "imported before: 4 events stored")
	w.once(t, 4)
}

func TestImportCSV(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	columns, cells := []string{}, []string{}
	for _, c := range [][2]string{
		{"id", "mine"},
		{"user_id", "u"},
		{"object_id", "o"},
		{"token", "SECRET-token-1"},
		{"type", "chrome"},
		{"keys.p256dh", "BLc4xRzKlKORKWlbdgFaBrrPK3ydWAHo4M0gs0i1oEKgPpWC5cW8OCzVrOQRv-1npXRWk8udnW3oYhIO4475rds"},
		{"keys.auth", "5I2Bu2oKdyy9CwL8QVF0NQ"},
		{"provider_key", "key"},
		{"device.app_id", "a"},
		{"device.ad_id", "b"},
		{"device.device_id", "c"},
		{"device.platform", "d"},
		{"device.manufacturer", `"Big, ""small"""`},
		{"device.model", "f"},
		{"tracking.os_version", "14"},
		{"tracking.ip", "203.0.113.1"},
		{"tracking.lat", "1.5"},
		{"tracking.long", "2.5"},
		{"properties", `"{""a"":{""b"":1}}"`},
		{"expiry_date", "2030-01-31"},
		{"destinations", "clevertap; courier"},
		{"registered_at", "2026-01-31T12:00:00Z"},
	} {
		columns, cells = append(columns, c[0]), append(cells, c[1])
	}
	file := w.write(t, "all.csv", strings.Join(columns, ",")+"\r\n"+strings.Join(cells, ",")+"\r\n")
	w.run(bounded(t), "", "import", file).want(t, 0, "imported: 1 events stored, 0 bad lines; 2 lines in all")
	var got, want any
	if err := json.Unmarshal(w.stored(t)[0].Data(), &got); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal([]byte(`{"id":"mine","user_id":"u","object_id":"o","token":"SECRET-token-1","type":"chrome",
		"keys":{"p256dh":"BLc4xRzKlKORKWlbdgFaBrrPK3ydWAHo4M0gs0i1oEKgPpWC5cW8OCzVrOQRv-1npXRWk8udnW3oYhIO4475rds","auth":"5I2Bu2oKdyy9CwL8QVF0NQ"},
		"provider_key":"key","device":{"app_id":"a","ad_id":"b","device_id":"c","platform":"d","manufacturer":"Big, \"small\"","model":"f"},
		"tracking":{"os_version":"14","ip":"203.0.113.1","lat":"1.5","long":"2.5"},"properties":{"a":{"b":1}},
		"expiry_date":"2030-01-31","destinations":["clevertap","courier"],"registered_at":"2026-01-31T12:00:00Z"}`), &want)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("stored\n%v\nwant\n%v", got, want)
	}
}

func TestImportCSVBadRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.write(t, "some.csv", "\n"+ // 1
		"token,type,object_id,expiry_date,properties,user_id\n"+ // 2
		"SECRET-token-1,fcm,o,false,,\n"+ // 3
		"SECRET-a,fcm\n"+ // 4
		"\"SECRET-b,fcm,o,,,\n"+ // 5: the quote would swallow the rest
		"SECRET-token-2,,,,,u\n"+ // 6: nothing to derive a key from
		"\n"+ // 7
		"SECRET-c,fcm,o,,not JSON,u\n"+ // 8
		"SECRET-d,fcm,o,tomorrow,,u\n"+ // 9
		"SECRET-token-2,fcm,o,,,u\n") // 10
	w.run(bounded(t), "", "import", file).want(t, 1, "imported: 2 events stored, 5 bad lines")
	w.once(t, 2)
	rejected := w.read(t, "some.csv.rejects")
	for _, want := range []string{
		`{"line":4,"field":"event","problem":"2 columns; the header has 6","input":"SECRET-a,fcm"}`,
		`{"line":5,"field":"event","problem":"no CSV: a quote`,
		`{"line":6,"field":"provider_key",`, `{"line":8,"field":"properties",`, `{"line":9,"field":"expiry_date",`,
	} {
		if !strings.Contains(rejected, want) {
			t.Errorf("no %s in\n%s", want, rejected)
		}
	}
}

func TestImportRefusesTheInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct{ file, content, want string }{
		"unknown columns": {"a.csv", "token,Type,objectid\n", `unknown column "Type", "objectid"; a comma between columns, and these are allowed: id, user_id,`},
		"semicolons":      {"b.csv", "token;type\n", `unknown column "token;type"; a comma between`},
		"column twice":    {"c.csv", "token,type,token\n", `column "token" is there twice`},
		"no header":       {"d.csv", "\n\n", "no CSV header"},
		"bad header":      {"e.csv", "\"token\n", "CSV header"},
		"array":           {"f.json", "[{}]\n", "line 1: a JSON array; JSON lines are needed"},
		"UTF-16":          {"g.jsonl", "\xff\xfe{\x00", "UTF-16; UTF-8 is needed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := w.write(t, c.file, c.content)
			w.run(bounded(t), "", "import", file).want(t, 1, c.want)
		})
	}
	w.run(bounded(t), "", "import", w.path("none.csv")).want(t, 1, "none.csv: no such file")
	w.run(bounded(t), "", "import", "--format=csv", w.dir).want(t, 1, "a folder; a file is needed")
	w.write(t, "h.jsonl", jsonLines(1, 1))
	w.write(t, "h.jsonl.progress", "{}x")
	w.run(bounded(t), "", "import", w.path("h.jsonl")).want(t, 1, "is no progress file of an import")
	w.write(t, "i.jsonl", jsonLines(1, 1))
	w.write(t, "i.jsonl.rejects", "somebody's\n")
	w.run(bounded(t), "", "import", w.path("i.jsonl")).want(t, 1, "i.jsonl.rejects exists: move it away")
	if got := w.read(t, "i.jsonl.rejects"); got != "somebody's\n" {
		t.Errorf("somebody's file is %q now", got)
	}
}

func TestImportUsage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.write(t, "events", jsonLines(1, 1))
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no file":                  {nil, "file"},
		"no format":                {[]string{file}, "--format is not set, must be jsonl or csv, for the file's name does not tell"},
		"unknown format":           {[]string{"--format=xml", file}, "must be one of auto, jsonl, csv"},
		"negative rate":            {[]string{"--format=csv", "--rate=-1", file}, "--rate"},
		"rejects onto the input":   {[]string{"--format=csv", "--rejects=" + file, file}, "--rejects is"},
		"progress onto the input":  {[]string{"--format=csv", "--progress=" + w.dir + "/./events", file}, "--progress is"},
		"progress of a stream":     {[]string{"--progress=x", "-"}, "must not be given for standard input"},
		"an option that is no one": {[]string{"--fast", file}, "--fast"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w.run(bounded(t), "", append([]string{"import"}, c.args...)...).want(t, 2, c.want)
		})
	}
}

func TestImportStandardInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.run(bounded(t), jsonLines(1, 10), "import", "-", "--rejects", w.path("r"))
	r.want(t, 0, "imported: 10 events stored")
	w.run(bounded(t), jsonLines(1, 12), "import", "-", "--rejects", w.path("r")).
		want(t, 0, "imported: 2 events stored, 10 duplicates")
	w.run(bounded(t), "token,type,object_id\nSECRET-token-13,fcm,o\n", "import", "--format=csv", "-", "--rejects", w.path("r")).
		want(t, 0, "imported: 1 events stored")
	w.once(t, 13)
	if left, err := os.ReadDir(w.dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestImportPutsExportedLettersBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := `{"token":"SECRET-token-1","type":"fcm","object_id":"o","user_id":"u"}`
	file := w.write(t, "letters.jsonl",
		`{"provider":"courier","headers":{"Dlq-Id":["d1"],"Dlq-Code":["http_400"]},"body":`+body+`}`+"\n"+
			`{"provider":"clevertap","body":`+body+`}`+"\n"+
			`{"provider":"clevertap","headers":{},"body_base64":"AAECAw=="}`+"\n"+
			`{"provider":"courier","headers":3,"body":`+body+`}`+"\n")
	w.run(bounded(t), "", "import", file).want(t, 1, "imported: 2 events stored, 2 bad lines")
	got := map[string]jetstream.Msg{}
	for _, m := range w.stored(t) {
		got[m.Subject()] = m
	}
	courier, clevertap := got["tokens.registered.courier"], got["tokens.registered.clevertap"]
	if courier == nil || courier.Headers().Get("Nats-Msg-Id") != "replay:d1:1" || courier.Headers().Get("Dlq-Generation") != "1" || string(courier.Data()) != body {
		t.Errorf("for courier: %+v", courier)
	}
	if clevertap == nil || !strings.HasPrefix(clevertap.Headers().Get("Nats-Msg-Id"), "import-") || string(clevertap.Data()) != body {
		t.Errorf("for clevertap: %+v", clevertap)
	}
}
