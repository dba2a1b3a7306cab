// Package broker runs a NATS server with JetStream inside this process, on
// disk: `demo` keeps its streams in one, and tests start one each.
//
// It knows the server's settings and nothing of streams, subjects or events.
// A Broker owns the server's goroutines; Stop ends them all.
package broker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// readyWithin is how long a server may take to recover what its folder holds.
const readyWithin = 30 * time.Second

const loopback = "127.0.0.1"

// Settings are what a broker is started with.
type Settings struct {
	Dir        string // where streams are kept; required
	Addr       string // host:port to listen on; empty is 127.0.0.1 with any free port, and port 0 is any free port
	SyncAlways bool   // sync every write to disk before it is acknowledged; without it the server syncs every 2 minutes
	MaxPayload int32  // bytes a message; 0 is the server's default of 1 MiB
	Name       string // of the server, shown to clients
	Routes     []int  // ports of a cluster's servers, on the loopback address, this one's first; none: it stands alone
}

// Broker is a running server. All methods are safe for concurrent use.
type Broker struct {
	settings Settings
	addr     string // host:port it listens on, the same after a restart

	mu  sync.Mutex
	srv *server.Server // nil while stopped
}

// Start runs a server and returns when it takes connections.
func Start(s Settings) (*Broker, error) {
	if s.Dir == "" {
		return nil, errors.New("broker: no folder for the streams")
	}
	if s.Addr == "" {
		s.Addr = loopback + ":0"
	}
	b := &Broker{settings: s, addr: s.Addr}
	if err := b.start(); err != nil {
		return nil, err
	}
	return b, nil
}

// URL is where clients connect. It stays the same over a restart.
func (b *Broker) URL() string { return "nats://" + b.addr }

// Stop shuts the server down in order. A stopped broker stops again silently.
func (b *Broker) Stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop()
}

// Restart stops the server in order and starts it on the same port and folder.
// After Stop or Kill it only starts it.
func (b *Broker) Restart() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop()
	return b.start()
}

// Kill ends the server as a kill -9 would: what it had not yet written to its
// files is gone. (The files are copied before the shutdown and put back after
// it.) Restart brings it back.
func (b *Broker) Kill() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.srv == nil {
		return nil
	}
	image, err := os.MkdirTemp(filepath.Dir(filepath.Clean(b.settings.Dir)), "killed-")
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	defer func() { _ = os.RemoveAll(image) }()
	if err := copyTree(image, b.settings.Dir); err != nil {
		return fmt.Errorf("broker: copy of the folder: %w", err)
	}
	b.stop()
	if err := os.RemoveAll(b.settings.Dir); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	if err := os.Rename(image, b.settings.Dir); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}

func (b *Broker) start() error {
	host, portText, err := net.SplitHostPort(b.addr)
	if err != nil {
		return fmt.Errorf("broker: address %q: want host:port: %w", b.addr, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return fmt.Errorf("broker: address %q: port must be a number", b.addr)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	} else if err := vacant(b.addr); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	options := &server.Options{
		ServerName: b.settings.Name,
		Host:       host,
		Port:       port,
		JetStream:  true,
		StoreDir:   b.settings.Dir,
		SyncAlways: b.settings.SyncAlways,
		MaxPayload: b.settings.MaxPayload,
		NoLog:      true,
		NoSigs:     true,
	}
	if routes := b.settings.Routes; len(routes) > 0 {
		// Clients are told of no other server: who connects to one stays there.
		options.Cluster = server.ClusterOpts{Name: "cluster", Host: loopback, Port: routes[0], NoAdvertise: true}
		for _, port := range routes {
			options.Routes = append(options.Routes, &url.URL{Scheme: "nats", Host: net.JoinHostPort(loopback, strconv.Itoa(port))})
		}
	}
	srv, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	srv.Start()
	if !srv.ReadyForConnections(readyWithin) {
		srv.Shutdown()
		srv.WaitForShutdown()
		return fmt.Errorf("broker: not ready on %s: is the port taken, and may the folder be written?", b.addr)
	}
	b.srv = srv
	b.addr = srv.Addr().String()
	return nil
}

// vacant tells at once of a port that is taken, for which the server would only
// not become ready.
func vacant(addr string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return listener.Close()
}

// FreePorts finds ports below those that systems hand out for outgoing
// connections: one of those could be taken while its server is away.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for range 50 * n {
		port := 20_000 + rand.N(12_000)
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		// All at the end, so that each is found once.
		defer func() { _ = listener.Close() }()
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, errors.New("no free ports from 20000 to 32000")
}

func (b *Broker) stop() {
	if b.srv == nil {
		return
	}
	b.srv.Shutdown()
	b.srv.WaitForShutdown()
	b.srv = nil
}

// copyTree copies a folder that its owner is still writing to. A file that
// vanishes meanwhile is left out.
func copyTree(dst, src string) error {
	return filepath.WalkDir(src, func(path string, entry os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		target := filepath.Join(dst, rel)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o750)
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
}
