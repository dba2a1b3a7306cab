package consumer_test

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// BenchmarkPull compares a Pull of 100 with the iterators of the client. The
// server is a process of its own: the CPU time is the client's.
func BenchmarkPull(b *testing.B) {
	const n = 100
	ways := map[string]func(b *testing.B, js jetstream.JetStream){
		"pull": func(b *testing.B, js jetstream.JetStream) {
			c, err := consumer.Open(b.Context(), js, "clevertap", consumer.Options{Topology: provisioned})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			for done := 0; done < b.N; done += n {
				if err := c.Pull(b.Context(), min(n, b.N-done), 0, func(m *consumer.Message) { m.Ack() }); err != nil {
					b.Fatal(err)
				}
			}
			if err := c.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		},
		"pull up to": func(b *testing.B, js jetstream.JetStream) {
			c, err := consumer.Open(b.Context(), js, "clevertap", consumer.Options{Topology: provisioned})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			for done := 0; done < b.N; done += n {
				if err := c.PullUpTo(b.Context(), min(n, b.N-done), 1<<20, 0, func(m *consumer.Message) { m.Ack() }); err != nil {
					b.Fatal(err)
				}
			}
			if err := c.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		},
		"iterator a batch": func(b *testing.B, js jetstream.JetStream) {
			cons := benchConsumer(b, js)
			for done := 0; done < b.N; done += n {
				size := min(n, b.N-done)
				it, err := cons.Messages(jetstream.PullMaxMessages(size), jetstream.StopAfter(size),
					jetstream.PullPriorityGroup("senders"), jetstream.PullPrioritized(0))
				if err != nil {
					b.Fatal(err)
				}
				iterate(b, it, size)
			}
		},
		"one iterator": func(b *testing.B, js jetstream.JetStream) {
			it, err := benchConsumer(b, js).Messages(jetstream.PullMaxMessages(n),
				jetstream.PullPriorityGroup("senders"), jetstream.PullPrioritized(0))
			if err != nil {
				b.Fatal(err)
			}
			iterate(b, it, b.N)
		},
		"one consume": func(b *testing.B, js jetstream.JetStream) {
			var left sync.WaitGroup
			left.Add(b.N)
			cc, err := benchConsumer(b, js).Consume(func(m jetstream.Msg) {
				if meta, err := m.Metadata(); err != nil || meta.NumDelivered == 0 {
					b.Error(err)
				}
				if err := m.Ack(); err != nil {
					b.Error(err)
				}
				left.Done()
			}, jetstream.PullMaxMessages(n), jetstream.StopAfter(b.N), jetstream.PullPriorityGroup("senders"), jetstream.PullPrioritized(0))
			if err != nil {
				b.Fatal(err)
			}
			left.Wait()
			cc.Stop()
		},
	}
	for _, name := range []string{"pull", "pull up to", "iterator a batch", "one iterator", "one consume"} {
		b.Run(name, func(b *testing.B) {
			_, js := brokertest.Connect(b, brokertest.StartProcess(b).URL())
			t := provisioned
			t.Providers = []string{"clevertap"}
			if _, err := consumer.Ensure(b.Context(), js, t); err != nil {
				b.Fatal(err)
			}
			publishMany(b, js, b.N)
			b.ResetTimer()
			before := cpu(b)
			ways[name](b, js)
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

func benchConsumer(b *testing.B, js jetstream.JetStream) jetstream.Consumer {
	cons, err := js.Consumer(b.Context(), consumer.EventsStream, "clevertap")
	if err != nil {
		b.Fatal(err)
	}
	return cons
}

func iterate(b *testing.B, it jetstream.MessagesContext, n int) {
	for range n {
		m, err := it.Next()
		if err != nil {
			b.Fatal(err)
		}
		if meta, err := m.Metadata(); err != nil || meta.NumDelivered == 0 {
			b.Fatal(err)
		}
		if err := m.Ack(); err != nil {
			b.Fatal(err)
		}
	}
	it.Stop()
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
