package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// toxicTimeout bounds a change of a proxy.
const toxicTimeout = 15 * time.Second

// lines are the proxies between pods and what they talk to: one for each pod
// and server, so that a fault is one pod's.
type lines struct {
	server *toxiproxy.ApiServer
	of     map[end][]*toxiproxy.Proxy
}

// end is a pod's line to a target; to the broker it has a proxy a server.
type end struct {
	pod    int
	target string
}

func newLines() *lines {
	return &lines{
		server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()),
		of:     map[end][]*toxiproxy.Proxy{},
	}
}

// open puts a proxy before an address and returns the proxy's own.
func (l *lines) open(pod int, target, upstream string) (string, error) {
	on := end{pod, target}
	name := fmt.Sprintf("pod %d to %s %d", pod, target, len(l.of[on]))
	proxy := toxiproxy.NewProxy(l.server, name, loopback+":0", upstream)
	if err := proxy.Start(); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	l.of[on] = append(l.of[on], proxy)
	return proxy.Listen, nil
}

func (l *lines) close() {
	for _, proxies := range l.of {
		for _, proxy := range proxies {
			proxy.Stop()
		}
	}
}

// toxic is a fault as toxiproxy reads it.
type toxic struct {
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Stream     string           `json:"stream"`
	Attributes map[string]int64 `json:"attributes"`
}

// toxicOf: a timeout of 0 lets nothing through and closes nothing by itself.
func toxicOf(a action) toxic {
	t := toxic{Name: fmt.Sprintf("at %s", a.at), Stream: a.direction}
	switch a.kind {
	case latency: // with its jitter never more than the amount
		most := a.amount.Milliseconds()
		t.Type, t.Attributes = "latency", map[string]int64{"latency": most * 4 / 5, "jitter": most / 5}
	case resetPeer:
		t.Type, t.Attributes = "reset_peer", map[string]int64{"timeout": 0}
	case silence:
		t.Type, t.Attributes = "timeout", map[string]int64{"timeout": 0}
	}
	return t
}

func (l *lines) spoil(a action) error {
	return l.each(a, func(proxy *toxiproxy.Proxy, t toxic) error {
		body, err := json.Marshal(t)
		if err != nil {
			return err
		}
		_, err = proxy.Toxics.AddToxicJson(strings.NewReader(string(body)))
		return err
	})
}

// mend ends the fault. A connection through which nothing came is cut then:
// what it lost is lost.
func (l *lines) mend(a action) error {
	return l.each(a, func(proxy *toxiproxy.Proxy, t toxic) error {
		return proxy.Toxics.RemoveToxic(context.Background(), t.Name)
	})
}

func (l *lines) each(a action, change func(*toxiproxy.Proxy, toxic) error) error {
	done := make(chan error, 1)
	go func() {
		for _, proxy := range l.of[end{a.pod, a.target}] {
			if err := change(proxy, toxicOf(a)); err != nil {
				done <- fmt.Errorf("%s: %w", proxy.Name, err)
				return
			}
		}
		done <- nil
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(toxicTimeout):
		return fmt.Errorf("the proxy of %s did not change within %s", a, toxicTimeout)
	}
}
