package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/event"
)

// cluster is profile cluster: three brokers.
func (d *drill) cluster(ctx context.Context) error {
	s, err := d.newStack(ctx, nil, "COMPOSE_PROFILES=cluster", "STREAM_REPLICAS=3")
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := s.do(ctx, "up", "-d", "--scale", fmt.Sprintf("worker=%d", fleet)); err != nil {
		return err
	}
	d.say("three brokers and three workers: `up` took %.1f s", time.Since(began).Seconds())
	w, err := newWatch(ctx, s, "NATS_PORT", "NATS_2_PORT", "NATS_3_PORT")
	if err != nil {
		return err
	}
	defer w.close()
	if err := until(ctx, time.Minute, "three copies of each stream", func() (bool, error) { return w.replicated(ctx) }); err != nil {
		return err
	}
	if err := d.suffer(ctx, w,
		fault{name: "three brokers", harm: func(ctx context.Context) error { return pause(ctx, 10*time.Second) }},
		fault{name: "the leader stopped", harm: w.stopLeader},
		fault{name: "a node cut off", harm: w.cutLeader},
	); err != nil {
		return err
	}
	return s.down(ctx)
}

// replicated tells whether each stream has three copies that are up to date.
func (w *watch) replicated(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	for _, name := range []string{eventStream, letterStream, "KV_" + fleetBucket} {
		stream, err := w.js.Stream(ctx, name)
		if err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
		is := stream.CachedInfo()
		if is.Config.Replicas != 3 || is.Cluster == nil || is.Cluster.Leader == "" || len(is.Cluster.Replicas) != 2 {
			return false, fmt.Errorf("%s has %d replicas and no whole group", name, is.Config.Replicas)
		}
		for _, peer := range is.Cluster.Replicas {
			if peer.Offline || !peer.Current {
				return false, fmt.Errorf("%s is not up to date at %s", name, peer.Name)
			}
		}
	}
	return true, nil
}

// away is how long a leader is gone.
const away = 15 * time.Second

// stopLeader stops the server that leads the stream of the events, and starts it
// again after a while.
func (w *watch) stopLeader(ctx context.Context) error {
	stream, err := w.js.Stream(ctx, eventStream)
	if err != nil {
		return err
	}
	service, err := serviceOf(stream.CachedInfo().Cluster)
	if err != nil {
		return err
	}
	if _, err := w.stack.do(ctx, "stop", service); err != nil {
		return err
	}
	if err := pause(ctx, away); err != nil {
		return err
	}
	_, err = w.stack.do(ctx, "start", service)
	return errors.Join(err, w.whole(ctx))
}

// cutLeader cuts off the server that leads CleverTap's consumer for longer than a
// permit lasts.
func (w *watch) cutLeader(ctx context.Context) error {
	consumer, err := w.js.Consumer(ctx, eventStream, event.CleverTap)
	if err != nil {
		return err
	}
	service, err := serviceOf(consumer.CachedInfo().Cluster)
	if err != nil {
		return err
	}
	containers, err := w.stack.containers(ctx, service)
	if err != nil || len(containers) != 1 {
		return errors.Join(err, fmt.Errorf("containers of %s: %q", service, containers))
	}
	return errors.Join(w.stack.cut(ctx, containers[0], lease+5*time.Second), w.whole(ctx))
}

// whole waits until the cluster is as it was.
func (w *watch) whole(ctx context.Context) error {
	return until(ctx, time.Minute, "the cluster is whole again", func() (bool, error) { return w.replicated(ctx) })
}

// serviceOf finds the service of the server that leads.
func serviceOf(group *jetstream.ClusterInfo) (string, error) {
	if group == nil || !strings.HasPrefix(group.Leader, "nats-") {
		return "", errors.New("there is no leader")
	}
	if group.Leader == "nats-1" { // the service of the plain file
		return "nats", nil
	}
	return group.Leader, nil
}
