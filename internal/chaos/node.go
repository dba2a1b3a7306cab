package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/tokenrelay/tokenrelay/internal/broker"
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
	Routes []int // ports of all servers among themselves, this one's first
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
	b, err := broker.Start(broker.Settings{Dir: n.Dir, Addr: net.JoinHostPort(loopback, strconv.Itoa(n.Client)), Name: n.Name, Routes: n.Routes})
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "chaos node:", err)
		return 1
	}
	<-ctx.Done()
	b.Stop()
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
