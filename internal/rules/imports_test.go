package rules_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// rule is who a package may import besides the standard library. Everything
// else is forbidden to it; its tests may import any package of ours.
type rule struct {
	ours    string // packages of ours, without the module's path
	modules string // of others, by their names in `modules`
	why     string // for who wants to import more
}

// rules has one for each package: a new package without a rule is an error.
var rules = map[string]rule{
	"event":   {"", "json", "the event is a leaf: everybody may know it, so it knows nobody"},
	"batcher": {"", "", "the batcher is generic: it knows neither events nor providers"},

	"publisher":  {"event", "backoff json nats", "apps link it: it may not pull the worker in"},
	"consumer":   {"", "backoff nats", "the consumer knows JetStream; what an event or a provider is it refuses to know"},
	"dlq":        {"event internal/scan publisher", "backoff json nats sync", "a letter and its way back into the stream; who refused the event, and who decides, it may not know"},
	"dlq/replay": {"consumer dlq event internal/phrase internal/scan publisher", "backoff json nats sync time", "puts letters back; which provider takes them it asks nobody but who hands in how"},
	"dlq/console": {
		"consumer dlq dlq/erase dlq/replay event internal/flow internal/phrase", "nats time",
		"pages, sessions and jobs; what happens to a letter is decided by the rooms beside it",
	},
	"dlq/erase": {"consumer dlq event internal/scan publisher", "json nats", "removes a person; how an event is delivered it refuses to know"},
	"sandbox":   {"", "json", "apps link it in their tests: a double of the providers shares no code with who calls them"},

	"providers":                {"event", "", "the vocabulary of all providers, without any of them"},
	"providers/clevertap":      {"event providers providers/internal/call providers/internal/scrub", "json", "a provider knows HTTP and no JetStream, and no other provider"},
	"providers/courier":        {"event providers providers/internal/call providers/internal/scrub", "json", "a provider knows HTTP and no JetStream, and no other provider"},
	"providers/internal/call":  {"providers providers/internal/scrub", "", "one HTTP request for every provider"},
	"providers/internal/scrub": {"event providers", "json", "hides an event's own values in a text"},
	"providers/providerstest":  {"event providers", "", "the suite that every provider runs knows none of them"},

	"internal/broker":            {"", "nats-server", "the embedded server; its streams are the consumer's matter"},
	"internal/broker/brokertest": {"internal/broker", "nats nats-server", "for tests only"},
	"internal/browsertest":       {"", "chromedp", "for tests only; it knows pages, and none of ours"},
	"internal/build":             {"", "", "what the linker wrote; everybody may ask"},
	"internal/config":            {"internal/build internal/manual internal/reread", "backoff kong nats nkeys", "reads settings; what they are for is the app's matter"},
	"internal/health":            {"", "", "asks over HTTP; it shares no code with the server that answers"},
	"internal/manual":            {"", "", "writes manual pages and completions; how a command line is read it refuses to know"},
	"internal/ops":               {"internal/build", "nats prometheus tint", "shows what it is told; the app hands in whom to ask"},
	"internal/terminal":          {"", "term", "one question about a file"},
	"internal/fleet":             {"", "backoff json nats", "permits and holds are records in a bucket; what a provider answered is delivery's matter"},
	"internal/phrase":            {"", "", "words for figures; what they count is its caller's matter"},
	"internal/reread":            {"", "", "files as bytes; what they say is told by who hands in how to read them"},
	"internal/signals":           {"", "", "only a main may call it; what an end takes it refuses to know"},
	"internal/rights":            {"", "nats", "what a refusal says; what a missing right ends is its caller's matter"},
	"internal/scan":              {"", "backoff nats", "reads any stream; what a message says is its caller's matter"},
	"internal/delivery":          {"batcher consumer dlq event internal/fleet providers publisher", "backoff nats prometheus", "decides for every provider alike: it may not know one"},
	"internal/flow":              {"consumer dlq event internal/fleet internal/rights", "json nats", "adds up what pods announce and the broker says; who draws it, and what a worker does, it refuses to know"},
	"internal/app": {
		"consumer dlq event internal/build internal/config internal/delivery internal/fleet internal/flow internal/ops internal/reread internal/rights providers providers/clevertap providers/courier",
		"backoff nats prometheus", "wires the worker together; the only package that knows all rooms",
	},
	"internal/demo": {
		"consumer dlq dlq/console event internal/app internal/broker internal/config publisher sandbox",
		"nats progressbar", "everything in one process; nobody but the command demo may use it",
	},
	"internal/rules": {"", "", "tests only"},
	"internal/lettertest": {
		"consumer dlq event internal/app internal/broker/brokertest internal/config sandbox", "nats", "for tests only",
	},
	"internal/bench":       {"consumer event internal/broker", "nats", "measures processes from outside; what a worker does inside it refuses to know"},
	"internal/e2e":         {"", "", "tests only"},
	"internal/chaos":       {"consumer event internal/broker publisher sandbox", "nats toxiproxy", "looks at a fleet of processes from outside"},
	"internal/bench/fleet": {"consumer event internal/broker", "nats", "measures processes from outside"},
	"internal/bench/loop":  {"", "nats sync", "the plainest loop that one would write: nothing of ours may make it faster or slower"},

	"cmd/worker":    {"internal/app internal/config internal/health internal/ops internal/signals internal/terminal", "", "a thin main; it brings no broker, no sandbox and no console"},
	"cmd/demo":      {"internal/config internal/demo internal/health internal/ops internal/signals internal/terminal sandbox", "", "a thin main over the demo"},
	"cmd/publisher": {"consumer event internal/config internal/rights internal/signals internal/terminal publisher", "json nats progressbar time", "over the publisher; of the consumer it knows where to look an event up"},
	"cmd/dlq":       {"dlq dlq/console dlq/erase dlq/replay event internal/app internal/config internal/health internal/ops internal/phrase internal/reread internal/rights internal/signals internal/terminal", "json nats progressbar term", "over dlq: arguments, questions and what a person reads"},
	"cmd/sandbox":   {"internal/config internal/health internal/signals sandbox", "", "a thin main over the sandbox"},
}

// modules are those of others, by their names in `rules`. Those without a name
// there are for tests.
var modules = map[string]string{
	"backoff":     "github.com/cenkalti/backoff/v4",
	"chromedp":    "github.com/chromedp/chromedp github.com/chromedp/cdproto",
	"json":        "github.com/go-json-experiment/json",
	"kong":        "github.com/alecthomas/kong",
	"nats":        "github.com/nats-io/nats.go github.com/nats-io/nuid",
	"nats-server": "github.com/nats-io/nats-server/v2",
	"progressbar": "github.com/schollz/progressbar/v3",
	"nkeys":       "github.com/nats-io/nkeys",
	"prometheus":  "github.com/prometheus/client_golang github.com/prometheus/client_model",
	"sync":        "golang.org/x/sync",
	"term":        "golang.org/x/term",
	"time":        "golang.org/x/time",
	"tint":        "github.com/lmittmann/tint",
	"toxiproxy":   "github.com/Shopify/toxiproxy/v2 github.com/rs/zerolog",
}

// testModules are what tests may import beyond what any package may.
var testModules = strings.Fields(`
	github.com/nats-io/jwt/v2
	github.com/santhosh-tekuri/jsonschema/v6
	go.uber.org/goleak
	pgregory.net/rapid`)

func TestEveryPackageKeepsToItsImports(t *testing.T) {
	t.Parallel()
	files(t) // so that a result in the go tool's cache is as old as the tree
	all := list(t)
	seen := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		p := all[path]
		if !p.ours() {
			continue
		}
		name := short(path)
		seen[name] = true
		r, ok := rules[name]
		if !ok {
			t.Errorf("%s has no rule: say in internal/rules/imports_test.go whom it may import, and why", name)
			continue
		}
		allowed := allowedModules(r)
		for _, imported := range p.Imports {
			switch q := all[imported]; {
			case q == nil || q.Standard:
			case q.ours() && !slices.Contains(strings.Fields(r.ours), short(imported)):
				t.Errorf("%s imports %s, which its rule does not allow: %s", name, short(imported), r.why)
			case !q.ours() && !slices.Contains(allowed, q.Module.Path):
				t.Errorf("%s imports %s, which its rule does not allow: %s", name, imported, r.why)
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			if q := all[imported]; q != nil && !q.Standard && !q.ours() && !slices.Contains(knownModules(), q.Module.Path) {
				t.Errorf("a test of %s imports %s: say in internal/rules/imports_test.go that tests may", name, imported)
			}
		}
	}
	for name := range rules {
		if !seen[name] {
			t.Errorf("the rule of %s is for a package that does not exist", name)
		}
	}
}

func allowedModules(r rule) []string {
	var allowed []string
	for name := range strings.FieldsSeq(r.modules) {
		allowed = append(allowed, strings.Fields(modules[name])...)
	}
	return allowed
}

func knownModules() []string {
	known := slices.Clone(testModules)
	for _, paths := range modules {
		known = append(known, strings.Fields(paths)...)
	}
	return known
}

// What apps import must stay small, all that it drags along included.
func TestWhatAppsLinkStaysSmall(t *testing.T) {
	t.Parallel()
	files(t)
	all := list(t)
	for name, most := range map[string][]string{
		"event":   {"github.com/go-json-experiment/json"},
		"sandbox": {"github.com/go-json-experiment/json"},
		"publisher": {
			"github.com/go-json-experiment/json", "github.com/cenkalti/backoff/v4", "github.com/nats-io/nats.go", "github.com/nats-io/nkeys",
			"github.com/nats-io/nuid", "github.com/klauspost/compress", "golang.org/x/crypto", "golang.org/x/sys", "golang.org/x/text",
		},
	} {
		p := all[module+"/"+name]
		if p == nil {
			t.Fatalf("no package %s", name)
		}
		for _, path := range p.Deps {
			if q := all[path]; q.Module != nil && !q.ours() && !slices.Contains(most, q.Module.Path) {
				t.Errorf("whoever imports %s now links %s", name, path)
			}
		}
	}
}

// What a command does not serve it does not bring along: less to start, to
// patch and to keep in memory.
func TestCommandsLinkOnlyWhatTheyServe(t *testing.T) {
	t.Parallel()
	files(t)
	all := list(t)
	for command, never := range map[string][]string{
		"worker":    {"github.com/nats-io/nats-server", module + "/sandbox", module + "/dlq/console", module + "/internal/demo"},
		"publisher": {"github.com/nats-io/nats-server", module + "/sandbox", module + "/dlq", module + "/internal/app", module + "/internal/demo"},
		"dlq":       {"github.com/nats-io/nats-server", module + "/sandbox", module + "/internal/demo"},
		"sandbox":   {"github.com/nats-io/nats-server", module + "/dlq", module + "/internal/app", module + "/internal/demo"},
	} {
		p := all[module+"/cmd/"+command]
		if p == nil {
			t.Fatalf("no command %s", command)
		}
		for _, path := range p.Deps {
			if slices.ContainsFunc(never, func(prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }) {
				t.Errorf("the command %s now links %s", command, path)
			}
		}
	}
}

func TestNoBinaryLinksTheTestingPackage(t *testing.T) {
	t.Parallel()
	for _, p := range listOurs(t) {
		if !isTestSupport(short(p.ImportPath)) && slices.Contains(p.Deps, "testing") {
			t.Errorf("%s links package testing: which of its imports is for tests?", short(p.ImportPath))
		}
	}
}

// isTestSupport says whether a package, or the package of a file, is for tests.
func isTestSupport(path string) bool {
	return slices.ContainsFunc([]string{"providers/providerstest", "internal/broker/brokertest", "internal/browsertest", "internal/lettertest"},
		func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}
