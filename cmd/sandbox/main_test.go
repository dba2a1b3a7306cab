package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// process is a run under way, its first lines read.
type process struct {
	t         *testing.T
	stop      context.CancelFunc
	variables map[string]string // those it told to set
	greeting  string
	rest      *bufio.Scanner
	code      chan int
	stderr    bytes.Buffer
}

func begin(t *testing.T, args, env []string) *process {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	p := &process{t: t, stop: stop, variables: map[string]string{}, rest: bufio.NewScanner(reader), code: make(chan int, 1)}
	go func() {
		p.code <- run(ctx, append([]string{"--addr=127.0.0.1:0"}, args...), env, strings.NewReader(""), writer, &p.stderr)
		_ = writer.Close()
	}()
	t.Cleanup(func() { stop(); _ = reader.Close() })
	for p.rest.Scan() {
		line := p.rest.Text()
		p.greeting += line + "\n"
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			p.variables[name] = value
		}
		if strings.HasSuffix(line, "what else there is") {
			return p
		}
	}
	t.Fatalf("exit %d, stdout %q, stderr %q", <-p.code, p.greeting, p.stderr.String())
	return nil
}

// end stops it and returns what it said last.
func (p *process) end() string {
	p.t.Helper()
	p.stop()
	var text strings.Builder
	for p.rest.Scan() {
		text.WriteString(p.rest.Text() + "\n")
	}
	if code := <-p.code; code != 0 {
		p.t.Errorf("exit %d, stderr %q", code, p.stderr.String())
	}
	return text.String()
}

func (p *process) call(method, target, body string, header map[string]string) (int, string) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Close = true // no connection is left over
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func (p *process) upload(passcode string) (int, string) {
	p.t.Helper()
	return p.call("POST", p.variables["CLEVERTAP_BASE_URL"]+"/1/upload",
		`{"d":[{"type":"token","tokenData":{"id":"my-token","type":"fcm"},"objectId":"o"}]}`,
		map[string]string{"X-CleverTap-Account-Id": "sandbox-account", "X-CleverTap-Passcode": passcode, "Content-Type": "application/json"})
}

func TestServesBothProvidersUntilStopped(t *testing.T) {
	t.Parallel()
	p := begin(t, nil, nil)
	if status, body := p.upload(p.variables["CLEVERTAP_PASSCODE"]); status != 200 {
		t.Errorf("CleverTap: %d %s", status, body)
	}
	status, body := p.call("PUT", p.variables["COURIER_BASE_URL"]+"/users/u/tokens/my-token", `{}`,
		map[string]string{"Authorization": "Bearer " + p.variables["COURIER_API_KEY"], "Content-Type": "application/json"})
	if status != 400 {
		t.Errorf("Courier: %d %s", status, body)
	}
	const last = "clevertap: 1 calls, at most 1 open, 0 over the cap; 1 records accepted\n" +
		"courier: 1 calls, at most 1 open, 0 over the cap; 0 records accepted, 1 refused 400\n"
	if got := p.end(); got != last {
		t.Errorf("last words: got %q, want %q", got, last)
	}
}

func TestFlagsAndScriptBecomeRules(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "rules.json")
	if err := os.WriteFile(script, []byte(`[{"name":"from the script","effect":"status","status":503,"after":"1h"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := begin(t, []string{"--refuse=0.5=531,1=530", "--latency", "1ms-2ms"},
		[]string{"SANDBOX_COURIER_REFUSE=0.25=400", "SANDBOX_SCRIPT=" + script, "SANDBOX_CAP=0", "SANDBOX_RECORD=counts"})
	root := strings.TrimSuffix(p.variables["COURIER_BASE_URL"], "/courier")
	_, rules := p.call("GET", root+"/sandbox/rules", "", nil)
	parsed, err := sandbox.ParseRules([]byte(rules))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range parsed {
		names = append(names, r.Name)
	}
	const want = "--latency|--refuse 0.5=531|--refuse 1=530|--courier-refuse 0.25=400|from the script"
	if got := strings.Join(names, "|"); got != want {
		t.Errorf("rules: got %s, want %s", got, want)
	}
	if _, body := p.upload("sandbox-passcode"); !strings.Contains(body, `"status" : "fail"`) {
		t.Errorf("not refused: %s", body)
	}
	if got := p.end(); !strings.Contains(got, "0 records accepted, 1 refused 53") {
		t.Errorf("last words: %s", got)
	}
}

func TestNeverShowsGivenSecrets(t *testing.T) {
	t.Parallel()
	p := begin(t, nil, []string{"CLEVERTAP_PASSCODE=my-passcode", "COURIER_API_KEY=my-key"})
	if status, body := p.upload("my-passcode"); status != 200 {
		t.Errorf("CleverTap: %d %s", status, body)
	}
	all := p.greeting + p.end() + p.stderr.String()
	for _, secret := range []string{"my-passcode", "my-key", "my-token"} {
		if strings.Contains(all, secret) {
			t.Errorf("%s is shown: %s", secret, all)
		}
	}
	if !strings.Contains(all, "CLEVERTAP_ACCOUNT_ID=sandbox-account") || strings.Contains(all, "PASSCODE=") {
		t.Errorf("variables: %s", all)
	}
}

func TestTellsAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "rules.json")
	if err := os.WriteFile(script, []byte(`[{"effect":"hang","dleay":"1s"},{"name":"x","effect":"status"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"--addr=0.0.0.0:80", "--latency=5", "--refuse=2=531,0.1", "--cap=-1", "--script", script},
		[]string{"SANDBOX_COURIER_REFUSE=0.1=200", "SANDBOX_RECORD=no", "CLEVERTAP_PASSCODE_FILE=/does/not/exist"}, strings.NewReader(""), &stdout, &stderr)
	if code != 2 {
		t.Errorf("exit %d, want 2", code)
	}
	if stdout.Len() > 0 {
		t.Errorf("stdout: %s", stdout.String())
	}
	for _, line := range []string{
		`SANDBOX_ADDR (--addr) is "0.0.0.0:80", must be host:port with a loopback host, such as 127.0.0.1:8090 (--exposed allows others)`,
		`SANDBOX_LATENCY (--latency) is "5", must be a duration such as 50ms, or a range such as 50ms-200ms`,
		`SANDBOX_REFUSE (--refuse) is "2=531", must be SHARE=CODE such as 0.02=531, with a share over 0, up to 1`,
		`SANDBOX_REFUSE (--refuse) is "0.1", must be SHARE=CODE such as 0.02=531, with a share over 0, up to 1`,
		`SANDBOX_COURIER_REFUSE is "0.1=200", must be SHARE=STATUS such as 0.02=400, with a share over 0, up to 1, and a status from 400 to 599`,
		`SANDBOX_CAP (--cap) is "-1", must be a whole number from 0 to 10000`,
		`SANDBOX_RECORD is "no", must be one of all, fingerprints, counts`,
		`CLEVERTAP_PASSCODE_FILE is "/does/not/exist", cannot be read: no such file or directory`,
		`rule 1: dleay: there is no such field`,
		`rule 2 (x): status: 0; want an HTTP status, 200 to 599`,
	} {
		if !strings.Contains(stderr.String(), line+"\n") {
			t.Errorf("stderr lacks %s:\n%s", line, stderr.String())
		}
	}
	if n := strings.Count(stderr.String(), "\n"); n != 10 {
		t.Errorf("%d lines, want 10:\n%s", n, stderr.String())
	}
}

func TestFailsOnAnAddressInUse(t *testing.T) {
	t.Parallel()
	p := begin(t, nil, nil)
	addr := strings.TrimSuffix(strings.TrimPrefix(p.variables["COURIER_BASE_URL"], "http://"), "/courier")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--addr", addr}, nil, strings.NewReader(""), &stdout, &stderr); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	if got := stderr.String(); !strings.Contains(got, "address already in use") || strings.Count(got, "\n") != 1 {
		t.Errorf("stderr: %s", got)
	}
	p.end()
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, nil, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	for _, word := range []string{"SANDBOX_ADDR", "SANDBOX_EXPOSED", "CLEVERTAP_ACCOUNT_ID", "CLEVERTAP_PASSCODE", "COURIER_API_KEY", "SANDBOX_CAP", "SANDBOX_LATENCY",
		"SANDBOX_REFUSE", "SANDBOX_COURIER_REFUSE", "SANDBOX_SCRIPT", "SANDBOX_RECORD", "SANDBOX_KEEP"} {
		if !strings.Contains(stdout.String(), "$"+word) {
			t.Errorf("the help lacks %s:\n%s", word, stdout.String())
		}
	}
}

func TestManualNamesEverySetting(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/sandbox.md")
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	run(t.Context(), []string{"--help"}, nil, strings.NewReader(""), &stdout, &stderr)
	names := regexp.MustCompile(`--[a-z-]+|\$[A-Z_]+`).FindAllString(stdout.String(), -1)
	if len(names) < 25 {
		t.Fatalf("the help names only %q", names)
	}
	everywhere := []string{"--help", "--version", "--generate"}
	for _, name := range names {
		name = strings.TrimPrefix(name, "$")
		if !slices.Contains(everywhere, name) && !strings.HasSuffix(name, "-file") && !strings.Contains(string(manual), "`"+name+"`") {
			t.Errorf("the manual lacks `%s`", name)
		}
	}
}
