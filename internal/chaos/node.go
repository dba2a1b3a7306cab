package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

// nodeVariable is set in the environment of a process that is to be a server
// of the cluster: what else it must know, as JSON.
const nodeVariable = "TOKENRELAY_CHAOS_NODE"

// nodeConfig is one server of the cluster. Its ports stay the same over
// restarts.
type nodeConfig struct {
	Name   string
	Dir    string
	Client int   // port
	Route  int   // port
	Routes []int // ports of all servers
}

const loopback = "127.0.0.1"

// playNode is a server until SIGTERM, and then ends in order.
func playNode(config string, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var n nodeConfig
	if err := json.Unmarshal([]byte(config), &n); err != nil {
		_, _ = fmt.Fprintln(stderr, "chaos node:", err)
		return 2
	}
	options := &server.Options{
		ServerName: n.Name, Host: loopback, Port: n.Client,
		JetStream: true, StoreDir: n.Dir, NoSigs: true, NoLog: true,
		// Clients are told of no other server: the way there would lead past
		// the proxies.
		Cluster: server.ClusterOpts{Name: "chaos", Host: loopback, Port: n.Route, NoAdvertise: true},
	}
	for _, port := range n.Routes {
		options.Routes = append(options.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("%s:%d", loopback, port)})
	}
	s, err := server.NewServer(options)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "chaos node:", err)
		return 1
	}
	s.Start()
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return 0
}

// nodeEnv is the environment of a process that is to be the server.
func nodeEnv(n nodeConfig) ([]string, error) {
	config, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	return append(os.Environ(), nodeVariable+"="+string(config)), nil
}
