package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/event"
)

// lease is how long a permit lasts that nobody renews (PERMIT_LEASE); who is cut
// off for longer has lost it.
const lease = 30 * time.Second

// fleet is how many workers there are when something is done to one of them.
const fleet = 3

// single is the plain file: one broker.
func (d *drill) single(ctx context.Context) error {
	s, err := d.newStack(ctx, nil)
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := s.do(ctx, "build"); err != nil {
		return err
	}
	d.say("`build` of the compose file took %.0f s", time.Since(began).Seconds())
	began = time.Now()
	if _, err := s.do(ctx, "up", "-d"); err != nil {
		return err
	}
	up := time.Since(began)
	if err := until(ctx, time.Minute, "the console shows events and a letter with its cure", func() (bool, error) { return s.consoleShows(ctx) }); err != nil {
		return err
	}
	d.say("`up` took %.1f s, and after %.1f s the console showed events and a letter with its cure", up.Seconds(), time.Since(began).Seconds())

	w, err := newWatch(ctx, s, "NATS_PORT")
	if err != nil {
		return err
	}
	defer w.close()
	if err := d.suffer(ctx, w,
		fault{name: "one worker", harm: func(ctx context.Context) error { return pause(ctx, 5*time.Second) }},
		fault{name: "three workers, seen by Prometheus", harm: func(ctx context.Context) error {
			return errors.Join(s.scale(ctx, fleet), d.observed(ctx, s))
		}},
		fault{name: "a worker killed", harm: w.killWorker},
		fault{name: "a worker cut off", harm: w.cutWorker},
		fault{name: "the broker started anew", harm: func(ctx context.Context) error {
			_, err := s.do(ctx, "restart", "nats")
			return err
		}},
		fault{name: "a rolling deploy", harm: w.roll, orderly: true},
	); err != nil {
		return err
	}
	return s.down(ctx)
}

// consoleShows logs in as an operator would and looks at the first page.
func (s *stack) consoleShows(ctx context.Context) (bool, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return false, err
	}
	browser := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	at := fmt.Sprintf("http://127.0.0.1:%d/", s.ports["CONSOLE_PORT"])
	visit := func(method, path string, form url.Values) (string, error) {
		request, err := http.NewRequestWithContext(ctx, method, at+path, strings.NewReader(form.Encode()))
		if err != nil {
			return "", err
		}
		if form != nil {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		response, err := browser.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", at+path, response.Status)
		}
		return string(text), err
	}
	form, err := visit(http.MethodGet, "login", nil)
	if err != nil {
		return false, err
	}
	_, rest, _ := strings.Cut(form, `name="csrf" value="`)
	csrf, _, _ := strings.Cut(rest, `"`)
	page, err := visit(http.MethodPost, "login", url.Values{"csrf": {csrf}, "name": {"drill"}, "password": {"sandbox"}})
	if err != nil {
		return false, err
	}
	letters := regexp.MustCompile(`[1-9]\d* letters? in `).MatchString(page) && strings.Contains(page, "Cure")
	return letters && regexp.MustCompile(`delivered <b>[1-9]`).MatchString(page), nil
}

// holder is the container of the worker that has the first permit: most is lost
// with that one.
func (w *watch) holder(ctx context.Context) (string, error) {
	bucket, err := w.js.KeyValue(ctx, fleetBucket)
	if err != nil {
		return "", err
	}
	entry, err := bucket.Get(ctx, "permits."+event.CleverTap+".0")
	if err != nil {
		return "", err
	}
	var permit struct{ Holder string }
	if err := json.Unmarshal(entry.Value(), &permit); err != nil {
		return "", err
	}
	host, _, _ := strings.Cut(permit.Holder, "-")
	containers, err := w.stack.containers(ctx, "worker")
	if err != nil {
		return "", err
	}
	found := slices.IndexFunc(containers, func(id string) bool { return host != "" && strings.HasPrefix(id, host) })
	if found < 0 {
		return "", fmt.Errorf("the first permit is held by %q, which is none of the workers", permit.Holder)
	}
	return containers[found], nil
}

func (w *watch) killWorker(ctx context.Context) error {
	victim, err := w.holder(ctx)
	if err != nil {
		return err
	}
	_, err = w.stack.shell.docker(ctx, "kill", victim)
	return errors.Join(err, w.stack.scale(ctx, fleet))
}

func (w *watch) cutWorker(ctx context.Context) error {
	victim, err := w.holder(ctx)
	if err != nil {
		return err
	}
	return errors.Join(w.stack.cut(ctx, victim, lease+5*time.Second), w.stack.healthy(ctx, "worker", fleet))
}

// roll replaces one worker after the other.
func (w *watch) roll(ctx context.Context) error {
	workers, err := w.stack.containers(ctx, "worker")
	if err != nil {
		return err
	}
	for _, worker := range workers {
		if _, err := w.stack.shell.docker(ctx, "stop", "--time", "35", worker); err != nil {
			return err
		}
		code, err := w.stack.shell.docker(ctx, "inspect", "--format", "{{.State.ExitCode}}", worker)
		if err != nil {
			return err
		}
		if code != "0" {
			return fmt.Errorf("a worker that was told to stop ended with exit code %s", code)
		}
		if _, err := w.stack.shell.docker(ctx, "rm", worker); err != nil {
			return err
		}
		if err := w.stack.scale(ctx, fleet); err != nil {
			return err
		}
	}
	return nil
}
