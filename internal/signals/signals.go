// Package signals turns what the platform and a person tell a process into what
// a command understands: end, end now, read the files again.
//
// It knows signals; what an end takes it refuses to know. Only a main may call
// it. Its goroutine lives as long as the process.
package signals

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// again is how long after the first signal a second one may be the same, told
// twice: a terminal and a parent both tell a process group.
const again = time.Second

// End is done at the first interrupt or SIGTERM. One that comes a second later
// or more means now: the process ends at once, as if it did not listen.
func End() context.Context {
	ctx, end := context.WithCancel(context.Background())
	told := make(chan os.Signal, 1)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-told
		end()
		<-time.After(again)
		signal.Stop(told)
	}()
	return ctx
}

// Hangup gets each SIGHUP, which then ends nothing. It is nil under nohup, whose
// process is not to hear of it.
func Hangup() <-chan os.Signal {
	if signal.Ignored(syscall.SIGHUP) {
		return nil
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGHUP)
	return told
}
