package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/broker"
)

const (
	replicas = 3

	clusterStart = 2 * time.Minute // most time for a cluster to take streams
	streamsDir   = "jetstream"

	askTimeout = 5 * time.Second // of one question to it
)

// cluster is three servers, each a process. stop and start of one server may
// not be called at the same time.
type cluster struct {
	nursery *nursery
	self    string // path of this binary
	logDir  string
	ackWait time.Duration // the consumers', where it is not the declared one
	nodes   []*node
	conn    *nats.Conn // the harness's own, past the proxies
	js      jetstream.JetStream
}

type node struct {
	config  nodeConfig
	process *process // nil while it is away
}

// startCluster returns when streams, consumers and bucket are there.
func startCluster(ctx context.Context, n *nursery, dir string, ackWait time.Duration) (_ *cluster, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, streamsDir)); err == nil {
		return nil, fmt.Errorf("%s holds the streams of another run: name another folder", dir)
	}
	ports, err := broker.FreePorts(2 * replicas)
	if err != nil {
		return nil, err
	}
	c := &cluster{nursery: n, self: self, logDir: dir, ackWait: ackWait}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	for i := range replicas {
		name := "n" + strconv.Itoa(i)
		c.nodes = append(c.nodes, &node{config: nodeConfig{
			Name: name, Dir: filepath.Join(dir, streamsDir, name), Client: ports[i],
			Routes: slices.Concat(ports[replicas+i:], ports[replicas:replicas+i]),
		}})
		if err := c.start(i); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, clusterStart, fmt.Errorf("the cluster took no streams within %s", clusterStart))
	defer cancel()
	for {
		err := c.declare(ctx)
		if err == nil {
			return c, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (c *cluster) url() string {
	urls := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		urls[i] = n.url()
	}
	return strings.Join(urls, ",")
}

func (n *node) addr() string { return net.JoinHostPort(loopback, strconv.Itoa(n.config.Client)) }
func (n *node) url() string  { return "nats://" + n.addr() }

// declare makes what the workers would make.
func (c *cluster) declare(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*askTimeout)
	defer cancel()
	if c.conn == nil {
		if c.conn, err = connect(c.url(), "chaos observer"); err != nil {
			return err
		}
		if c.js, err = jetstream.New(c.conn); err != nil {
			return err
		}
	}
	if _, err = consumer.Ensure(ctx, c.js, consumer.Topology{Replicas: replicas, Provision: true, Providers: event.Providers()}); err != nil {
		return err
	}
	if c.ackWait == 0 {
		return nil
	}
	for _, provider := range event.Providers() {
		current, err := c.js.Consumer(ctx, consumer.EventsStream, provider)
		if err != nil {
			return err
		}
		config := current.CachedInfo().Config
		config.AckWait = c.ackWait
		if _, err := c.js.UpdateConsumer(ctx, consumer.EventsStream, config); err != nil {
			return err
		}
	}
	return nil
}

func connect(urls, name string) (*nats.Conn, error) {
	return nats.Connect(urls, nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 0), nats.Timeout(askTimeout),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
}

// leader is the number of the server that leads a stream; without an answer
// the first.
func (c *cluster) leader(ctx context.Context, stream string) int {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s, err := c.js.Stream(ctx, stream)
	if err != nil || s.CachedInfo().Cluster == nil {
		return 0
	}
	for i, n := range c.nodes {
		if n.config.Name == s.CachedInfo().Cluster.Leader {
			return i
		}
	}
	return 0
}

func (c *cluster) start(i int) error {
	n := c.nodes[i]
	env, err := nodeEnv(n.config)
	if err != nil {
		return err
	}
	n.process, err = c.nursery.start(filepath.Join(c.logDir, n.config.Name+".log"), env, c.self)
	return err
}

// stop takes a server away, in order or at once.
func (c *cluster) stop(i int, atOnce bool) error {
	p := c.nodes[i].process
	c.nodes[i].process = nil
	if atOnce {
		p.kill()
		return nil
	}
	return p.term(20 * time.Second)
}

// signal stops a server's process, or lets it go on.
func (c *cluster) signal(i int, s syscall.Signal) error { return c.nodes[i].process.signal(s) }

// stillUp reports the servers that ended by themselves.
func (c *cluster) stillUp() error {
	var ended []error
	for _, n := range c.nodes {
		if n.process == nil {
			continue
		}
		select {
		case <-n.process.ended:
			ended = append(ended, fmt.Errorf("server %s ended by itself: %w", n.config.Name, n.process.err))
		default:
		}
	}
	return errors.Join(ended...)
}

func (c *cluster) close() {
	if c.conn != nil {
		c.conn.Close()
	}
	for _, n := range c.nodes {
		if n.process != nil {
			_ = n.process.signal(syscall.SIGCONT) // refused when it has ended
			n.process.kill()
		}
	}
}
