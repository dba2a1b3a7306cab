package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker"
)

// patience bounds everything that is waited for.
const patience = 3 * time.Minute

// world is a broker, a provider and worker processes of one measurement.
type world struct {
	dir    string
	broker *broker.Broker
	conn   *nats.Conn
	js     jetstream.JetStream
	server *http.Server
	base   string
	pods   []*pod
}

// pod is a worker process.
type pod struct {
	cmd     *exec.Cmd
	metrics string // URL
}

func newWorld(ctx context.Context, parent string, p *provider) (w *world, err error) {
	w = &world{}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.dir, err = os.MkdirTemp(parent, "world-"); err != nil {
		return w, err
	}
	if w.broker, err = broker.Start(broker.Settings{Dir: filepath.Join(w.dir, "jetstream")}); err != nil {
		return w, err
	}
	if w.conn, err = nats.Connect(w.broker.URL()); err != nil {
		return w, err
	}
	if w.js, err = jetstream.New(w.conn, jetstream.WithPublishAsyncMaxPending(1000)); err != nil {
		return w, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return w, err
	}
	w.base = "http://" + listener.Addr().String()
	w.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = w.server.Serve(listener) }() // ends with close
	_, err = consumer.Ensure(ctx, w.js, consumer.Topology{Provision: true})
	return w, err
}

func (w *world) close() {
	for _, p := range w.pods {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range w.pods {
		_ = p.cmd.Wait()
	}
	if w.conn != nil {
		w.conn.Close()
	}
	if w.server != nil {
		_ = w.server.Close()
	}
	if w.broker != nil {
		w.broker.Stop()
	}
	_ = os.RemoveAll(w.dir)
}

// start runs that many workers and returns when all are ready.
func (w *world) start(ctx context.Context, binary string, processes int) error {
	for range processes {
		log, err := os.Create(filepath.Join(w.dir, fmt.Sprintf("worker-%d.log", len(w.pods))))
		if err != nil {
			return err
		}
		defer log.Close()
		cmd := exec.CommandContext(ctx, binary, "run")
		cmd.Stderr = log
		cmd.Env = append(os.Environ(), "NATS_URL="+w.broker.URL(), "HTTP_ADDR=127.0.0.1:0", "PROVIDERS=clevertap", "LOG_FORMAT=json",
			"CLEVERTAP_ACCOUNT_ID=bench", "CLEVERTAP_PASSCODE=bench", "CLEVERTAP_BASE_URL="+w.base, "CLEVERTAP_MAX_CONCURRENT="+strconv.Itoa(limit))
		if err := cmd.Start(); err != nil {
			return err
		}
		p := &pod{cmd: cmd}
		w.pods = append(w.pods, p)
		addr, err := listening(ctx, log.Name())
		if err != nil {
			return err
		}
		p.metrics = "http://" + addr + "/metrics"
		if err := until(ctx, "the worker is ready", func() bool {
			resp, err := http.Get("http://" + addr + "/readyz")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		}); err != nil {
			return err
		}
	}
	return nil
}

// listening reads from a worker's log where it serves its metrics.
func listening(ctx context.Context, path string) (addr string, err error) {
	err = until(ctx, "the worker says where it listens", func() bool {
		text, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		_, rest, found := strings.Cut(string(text), `"http":"`)
		addr, _, _ = strings.Cut(rest, `"`)
		return found
	})
	return addr, err
}

func until(ctx context.Context, what string, is func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("never: "+what))
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !is() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// callDuration is the mean that the workers themselves measured.
func (w *world) callDuration() (time.Duration, error) {
	var sum, count float64
	for _, p := range w.pods {
		resp, err := http.Get(p.metrics)
		if err != nil {
			return 0, err
		}
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), " ")
			n, err := strconv.ParseFloat(value, 64)
			switch {
			case err != nil:
			case strings.HasPrefix(name, "tokenrelay_call_duration_seconds_sum"):
				sum += n
			case strings.HasPrefix(name, "tokenrelay_call_duration_seconds_count"):
				count += n
			}
		}
		_ = resp.Body.Close()
	}
	if count == 0 {
		return 0, errors.New("no worker measured a call")
	}
	return time.Duration(sum / count * float64(time.Second)), nil
}
