package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/internal/broker"
)

// The processes that bench starts itself as. Each prints its URL and works
// until its standard input ends.
const (
	brokerRole   = "broker"
	providerRole = "provider"
)

func isRole(word string) bool { return word == brokerRole || word == providerRole }

func play(role string, args []string, stdin io.Reader, stdout io.Writer) error {
	if role == brokerRole {
		if len(args) != 1 {
			return errors.New("want the folder for the streams")
		}
		b, err := broker.Start(broker.Settings{Dir: args[0]})
		if err != nil {
			return err
		}
		defer b.Stop()
		return untilEnd(b.URL(), stdin, stdout)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newZeroLatency(), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer server.Close()
	return untilEnd("http://"+listener.Addr().String(), stdin, stdout)
}

func untilEnd(url string, stdin io.Reader, stdout io.Writer) error {
	if _, err := fmt.Fprintln(stdout, url); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, stdin)
	return err
}

// servant is a running role.
type servant struct {
	url   string
	cmd   *exec.Cmd
	stdin io.Closer
}

func startServant(ctx context.Context, role string, args ...string) (*servant, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{role}, args...)...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &servant{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		s.end()
		return nil, fmt.Errorf("%s did not say where it listens: %w", role, err)
	}
	s.url = strings.TrimSpace(line)
	return s, nil
}

func (s *servant) end() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait() // nothing depends on how it ended
}
