package helm_test

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/internal/config"
)

// commands are those that the chart starts, with the settings of the real ones.
type commands struct {
	Run struct {
		config.Worker `embed:""`
		Force         bool
	} `cmd:""`
	Console struct {
		Console config.Console `embed:""`
		NATS    config.NATS    `embed:""`
		Log     config.Log     `embed:""`
	} `cmd:""`
}

// elsewhere are variables that are not ours, but Go's and the standard library's.
var elsewhere = regexp.MustCompile(`^(GO[A-Z]+|HTTPS_PROXY)$`)

// Each pod has arguments, variables and files that its command takes.
func TestCommandsTakeWhatTheyAreTold(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, v := range config.Variables(&commands{}) {
		known[v.Name] = true
	}
	eachCase(t, func(t *testing.T, objects []runtime.Object) {
		for _, d := range all[*appsv1.Deployment](objects) {
			for name := range env(ours(d)) {
				if !known[name] && !elsewhere.MatchString(name) {
					t.Errorf("%s has the variable %s, which no command has", d.Name, name)
				}
			}
			pod := dress(t, d)
			if d.Name == "relay-tokenrelay-worker" && !strings.Contains(strings.Join(pod.env, " "), "COURIER_API_KEY") && !strings.Contains(strings.Join(pod.env, " "), "CLEVERTAP_ACCOUNT_ID") {
				pod.env = append(pod.env, "COURIER_API_KEY=by-hand") // a worker without any provider does not start
			}
			var complaints bytes.Buffer
			if command, code := config.Parse("pod", "", &commands{}, pod.args, pod.env, io.Discard, &complaints); command == nil {
				t.Errorf("%s would end with exit code %d: %s\n%s", d.Name, code, complaints.String(), strings.Join(pod.env, "\n"))
			}
		}
	})
}

// pod is what a kubelet would give to the container of a Deployment.
type pod struct {
	args, env []string
	dir       string // where the container's /etc/tokenrelay is
}

// contents are those of the mounted files. They are told by name, so that each
// is where it belongs.
func contents(t *testing.T) map[string]string {
	t.Helper()
	cert, key := brokertest.Certificate(t)
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	credentials := "-----BEGIN NATS USER JWT-----\ne30.e30.e30\n------END NATS USER JWT------\n" +
		"-----BEGIN USER NKEY SEED-----\n" + string(seed) + "\n------END USER NKEY SEED------\n"
	return map[string]string{
		"nats/nats.creds": credentials, "nats/nkey.seed": string(seed), "nats/password": "hunter2",
		"nats/ca.crt": read(cert), "nats/tls.crt": read(cert), "nats/tls.key": read(key),
		"clevertap/passcode": "passcode", "courier/api-key": "api-key",
		"console/password": "swordfish", "console/tls.crt": read(cert), "console/tls.key": read(key),
	}
}

// dress puts the secrets of a pod into a folder and tells the container of it.
func dress(t *testing.T, d *appsv1.Deployment) *pod {
	t.Helper()
	const mount = "/etc/tokenrelay"
	c := ours(d)
	p := &pod{args: c.Args, dir: t.TempDir()}
	content := contents(t)
	for _, volume := range d.Spec.Template.Spec.Volumes {
		if volume.Projected == nil {
			continue
		}
		i := slices.IndexFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume.Name })
		if i < 0 || c.VolumeMounts[i].MountPath != mount || c.VolumeMounts[i].SubPath != "" || !c.VolumeMounts[i].ReadOnly {
			t.Fatalf("%s mounts its secrets as %+v", d.Name, c.VolumeMounts)
		}
		if mode := *volume.Projected.DefaultMode; mode != 0o440 {
			t.Errorf("%s has secrets with the mode %o", d.Name, mode)
		}
		for _, source := range volume.Projected.Sources {
			for _, item := range source.Secret.Items {
				text, ok := content[item.Path]
				if !ok {
					t.Fatalf("%s mounts %s, which no setting reads", d.Name, item.Path)
				}
				file := filepath.Join(p.dir, item.Path)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	named := map[string]bool{}
	for _, v := range c.Env {
		value := v.Value
		if v.ValueFrom != nil {
			value = "from-a-secret"
		}
		if file, inside := strings.CutPrefix(value, mount+"/"); inside {
			named[file] = true
			value = filepath.Join(p.dir, file)
		}
		p.env = append(p.env, v.Name+"="+value)
	}
	_ = filepath.WalkDir(p.dir, func(file string, entry os.DirEntry, err error) error {
		if inside, _ := filepath.Rel(p.dir, file); err == nil && !entry.IsDir() && !named[filepath.ToSlash(inside)] {
			t.Errorf("%s mounts %s and tells nobody", d.Name, inside)
		}
		return err
	})
	return p
}

// Each variable of a worker and of a console can be set by a value of the
// chart: none needs extraEnv.
func TestEveryVariableHasItsValue(t *testing.T) {
	t.Parallel()
	told := map[string]bool{
		"COURIER_API_KEY": true, "CLEVERTAP_PASSCODE": true, "NATS_PASSWORD": true, "CONSOLE_PASSWORD": true, // only as files
	}
	for _, values := range cases(t) {
		for _, d := range all[*appsv1.Deployment](objects(t, values)) {
			for _, v := range ours(d).Env {
				told[v.Name] = true
			}
		}
	}
	for _, v := range config.Variables(&commands{}) {
		if !told[v.Name] {
			t.Errorf("no value of the chart sets %s", v.Name)
		}
	}
}

// Files of a secret: the right key of the right one, in the right pods only.
func TestSecretsGoWhereTheyBelong(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[string]string{
		"both": {
			"relay-tokenrelay-worker": "relay-clevertap:passcode=clevertap/passcode relay-courier:api-key=courier/api-key relay-nats:password=nats/password",
			// A console has neither provider's key, and a user of its own.
			"relay-tokenrelay-console": "relay-console:nats-password=nats/password relay-console:password=console/password",
		},
		"fleet": {
			"relay-tokenrelay-worker":         "relay-clevertap:passcode=clevertap/passcode relay-nats-tls:ca.crt=nats/ca.crt relay-nats-tls:tls.crt=nats/tls.crt relay-nats-tls:tls.key=nats/tls.key relay-nats:nats.creds=nats/nats.creds",
			"relay-tokenrelay-courier-worker": "relay-courier:api-key=courier/api-key relay-nats-tls:ca.crt=nats/ca.crt relay-nats-tls:tls.crt=nats/tls.crt relay-nats-tls:tls.key=nats/tls.key relay-nats:nats.creds=nats/nats.creds",
		},
	} {
		for _, d := range all[*appsv1.Deployment](objects(t, cases(t)[name])) {
			var files []string
			seen := map[string]bool{}
			for _, source := range d.Spec.Template.Spec.Volumes[0].Projected.Sources {
				if seen[source.Secret.Name] { // a certificate and its key come from one source, so they change together
					t.Errorf("%s has two sources of the secret %s", d.Name, source.Secret.Name)
				}
				seen[source.Secret.Name] = true
				for _, item := range source.Secret.Items {
					files = append(files, source.Secret.Name+":"+item.Key+"="+item.Path)
				}
			}
			slices.Sort(files)
			if got := strings.Join(files, " "); got != want[d.Name] {
				t.Errorf("%s mounts\n%s\nwant\n%s", d.Name, got, want[d.Name])
			}
		}
	}
}

func TestGracePeriod(t *testing.T) {
	t.Parallel()
	for values, want := range map[string]int64{
		"":                                      30,
		at("worker.preStopSeconds", "15"):       45,
		at("worker.shutdownGraceSeconds", "60"): 65,
		"worker: {preStopSeconds: 7, shutdownGraceSeconds: 40}":                            52,
		at("worker.terminationGracePeriodSeconds", "30"):                                   30,
		at("worker.terminationGracePeriodSeconds", "300"):                                  300,
		"worker: {preStopSeconds: 7, terminationGracePeriodSeconds: 37}":                   37,
		"worker: {shutdownGraceSeconds: 1000000}":                                          1000005,
		"worker: {shutdownGraceSeconds: 1000000, terminationGracePeriodSeconds: 10000000}": 10000000,
	} {
		d := workers(objects(t, values))[0]
		if got := *d.Spec.Template.Spec.TerminationGracePeriodSeconds; got != want {
			t.Errorf("%q: %d s, want %d", values, got, want)
		}
	}
	eachCase(t, func(t *testing.T, objects []runtime.Object) {
		for _, d := range all[*appsv1.Deployment](objects) {
			grace := consoleGrace(t)
			if told := env(ours(d))["SHUTDOWN_GRACE"]; told != "" {
				seconds, err := strconv.ParseInt(strings.TrimSuffix(told, "s"), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				grace = seconds
			}
			if l := ours(d).Lifecycle; l != nil {
				grace += l.PreStop.Sleep.Seconds
			}
			if got := *d.Spec.Template.Spec.TerminationGracePeriodSeconds; got < grace+5 {
				t.Errorf("%s is killed after %d s, and takes %d to end", d.Name, got, grace)
			}
		}
	})
}

// consoleGrace is how many seconds the console's source says that it takes.
func consoleGrace(t *testing.T) int64 {
	t.Helper()
	source, err := os.ReadFile("../../cmd/dlq/console.go")
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`const consoleGrace = (\d+) \* time\.Second`).FindSubmatch(source)
	if match == nil {
		t.Fatal("cmd/dlq/console.go has no consoleGrace in seconds")
	}
	seconds, err := strconv.ParseInt(string(match[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seconds
}

func TestImages(t *testing.T) {
	t.Parallel()
	const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	for values, want := range map[string]string{
		"":                            "ghcr.io/tokenrelay/worker:0.1.0",
		at("image.registry", `""`):    "worker:0.1.0",
		at("image.tag", `"2"`):        "ghcr.io/tokenrelay/worker:2",
		at("worker.image.tag", `"3"`): "ghcr.io/tokenrelay/worker:3",
		"{image: {tag: '2'}, worker: {image: {tag: '3'}}}":                    "ghcr.io/tokenrelay/worker:3",
		"{image: {tag: '2'}, worker: {image: {digest: '" + digest + "'}}}":    "ghcr.io/tokenrelay/worker@" + digest,
		"{image: {registry: localhost:5000}, worker: {image: {tag: v1.2-3}}}": "localhost:5000/worker:v1.2-3",
	} {
		if got := ours(workers(objects(t, values))[0]).Image; got != want {
			t.Errorf("%q: %s, want %s", values, got, want)
		}
	}
}

// Which worker delivers to whom.
func TestProviders(t *testing.T) {
	t.Parallel()
	const both = "{clevertap: {accountID: a, existingSecret: c}, courier: {existingSecret: c}}"
	for _, test := range []struct {
		values []string
		want   map[string]string
	}{
		{nil, map[string]string{"worker": ""}},
		{[]string{both}, map[string]string{"worker": "clevertap,courier"}},
		{[]string{"courier: {existingSecret: c}"}, map[string]string{"worker": "courier"}},
		{[]string{both, "config: {PROVIDERS: clevertap}"}, map[string]string{"worker": "clevertap"}},
		{[]string{both, "courierWorker: {enabled: true}"}, map[string]string{"worker": "clevertap", "courier-worker": "courier"}},
		{[]string{"config: {PROVIDERS: 'courier, clevertap'}", "courierWorker: {enabled: true}"}, map[string]string{"worker": "clevertap", "courier-worker": "courier"}},
		{[]string{both, "{worker: {enabled: false}, courierWorker: {enabled: true}}"}, map[string]string{"courier-worker": "courier"}},
	} {
		got := map[string]string{}
		for _, d := range workers(objects(t, test.values...)) {
			got[strings.TrimPrefix(d.Name, "relay-tokenrelay-")] = env(ours(d))["PROVIDERS"]
		}
		if !maps.Equal(got, test.want) {
			t.Errorf("%q: %v, want %v", test.values, got, test.want)
		}
	}
}

// The second worker is the first, but for what it says itself: false, 0 and
// nothing too.
func TestCourierWorkerInherits(t *testing.T) {
	t.Parallel()
	objects := objects(t, cases(t)["everything"], `
courierWorker:
  priorityClassName: ""
  preStopSeconds: 0
  podDisruptionBudget: {enabled: false}
  extraContainers: []
  podLabels: {more: "yes"}`)
	for _, d := range workers(objects) {
		spec, labels := d.Spec.Template.Spec, d.Spec.Template.Labels
		got := []any{spec.PriorityClassName, ours(d).Lifecycle != nil, len(spec.Containers), labels["tier"], labels["more"]}
		want := []any{"high", true, 2, "worker", ""}
		if d.Name == "push-tokens-courier-worker" {
			want = []any{"", false, 1, "worker", "yes"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", d.Name, got, want)
		}
	}
}
