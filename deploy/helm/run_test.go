package helm_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// patience is for what should happen soon; nothing depends on how soon.
const patience = time.Minute

// The real commands, told what the chart tells them, against a real broker and
// the sandbox: each probe is answered, an event arrives at both providers, and
// SIGTERM ends them in order.
func TestThePodsRun(t *testing.T) {
	t.Parallel()
	broker := brokertest.New(t)
	providers, err := sandbox.Start(sandbox.Settings{AccountID: "ABC-123-456", Passcode: "passcode", APIKey: "api-key"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = providers.Close() })
	here := fmt.Sprintf(`
nats: {url: %q}
config: {CLEVERTAP_BASE_URL: %q, COURIER_BASE_URL: %q, CLEVERTAP_BATCH_WAIT: 10ms}
worker: {port: %d}
console: {port: %d, tls: {existingSecret: relay-console-tls}}
podMonitor: {enabled: true}
`, broker.URL(), providers.CleverTapURL(), providers.CourierURL(), freePort(t), freePort(t))
	running := map[string]*process{}
	release := objects(t, cases(t)["both"], here)
	deployments := all[*appsv1.Deployment](release)
	// A console ends, and is started again, until a worker has made the streams.
	slices.SortFunc(deployments, func(a, b *appsv1.Deployment) int { return -strings.Compare(ours(a).Name, ours(b).Name) })
	for _, d := range deployments {
		name := ours(d).Name
		running[name] = start(t, map[string]string{"worker": "worker", "console": "dlq"}[name], dress(t, d))
		for _, probe := range []*corev1.Probe{ours(d).StartupProbe, ours(d).LivenessProbe, ours(d).ReadinessProbe} {
			url := fmt.Sprintf("%s://127.0.0.1:%d%s", strings.ToLower(string(probe.HTTPGet.Scheme)), ours(d).Ports[0].ContainerPort, probe.HTTPGet.Path)
			brokertest.Eventually(t, url+" is answered", func() bool {
				select {
				case <-running[name].ended:
					t.Fatalf("%s ended: %s", name, running[name].output.String())
				default:
				}
				return answer(url) != ""
			})
		}
		for _, monitor := range all[*monitoringv1.PodMonitor](release) {
			if url := fmt.Sprintf("http://127.0.0.1:%d%s", ours(d).Ports[0].ContainerPort, monitor.Spec.PodMetricsEndpoints[0].Path); name == "worker" && !strings.Contains(answer(url), "tokenrelay_build_info") {
				t.Errorf("%s has no metrics", url)
			}
		}
	}
	if len(running) != 2 {
		t.Fatalf("%d pods run", len(running))
	}
	if _, err := broker.JS.Publish(t.Context(), "tokens.registered", []byte(`{"user_id":"ann","object_id":"__g1","token":"t-1","type":"fcm"}`)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := providers.Wait(ctx, func(sandbox.Report) bool {
		return len(providers.Accepted(sandbox.CleverTap)) == 1 && len(providers.Accepted(sandbox.Courier)) == 1
	}); err != nil {
		t.Fatalf("the event did not arrive: %v\n%s", err, running["worker"].kill())
	}
	for name, p := range running {
		if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if <-p.ended; p.command.ProcessState.ExitCode() != 0 {
			t.Errorf("%s ended with %s\n%s", name, p.command.ProcessState, p.output.String())
		}
	}
}

// freePort is one that nobody listened on a moment ago: a pod's port is a number.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// answer asks as a kubelet does: any certificate will do. It is empty unless
// all is well.
func answer(url string) string {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	return string(text)
}

// process is a command of this project that runs beside the test.
type process struct {
	command *exec.Cmd
	output  bytes.Buffer // whole when ended is closed
	ended   chan struct{}
}

// start builds a command and runs it as a container would: nothing of this
// process's environment reaches it.
func start(t *testing.T, name string, pod *pod) *process {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, "./cmd/"+name)
	build.Dir = "../.."
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, output)
	}
	p := &process{command: exec.Command(binary, pod.args...), ended: make(chan struct{})}
	p.command.Env = pod.env
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.command.Wait()
	}()
	t.Cleanup(func() { p.kill() })
	return p
}

// kill ends it at once, and tells what it has said.
func (p *process) kill() string {
	_ = p.command.Process.Kill()
	<-p.ended
	return p.output.String()
}
