package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// observed starts Prometheus and waits until it scrapes each worker and has
// evaluated every rule.
func (d *drill) observed(ctx context.Context, s *stack) error {
	if _, err := s.do(ctx, "--profile", "observe", "up", "-d", "--no-deps", "prometheus"); err != nil {
		return err
	}
	if err := until(ctx, time.Minute, "Prometheus scrapes every worker", func() (bool, error) {
		var found struct{ Result []struct{ Value [2]any } }
		err := s.prometheus(ctx, "query?query="+url.QueryEscape(`count(up{job="tokenrelay"} == 1 and on(instance) tokenrelay_build_info)`), &found)
		return len(found.Result) == 1 && found.Result[0].Value[1] == strconv.Itoa(fleet), err
	}); err != nil {
		return err
	}
	return until(ctx, time.Minute, "Prometheus evaluates every rule", func() (bool, error) {
		var found struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
		if err := s.prometheus(ctx, "rules", &found); err != nil {
			return false, err
		}
		for _, group := range found.Groups {
			for _, rule := range group.Rules {
				if rule.Health != "ok" {
					return false, fmt.Errorf("%s is %s %s", rule.Name, rule.Health, rule.LastError)
				}
			}
		}
		return len(found.Groups) > 0, nil
	})
}

// prometheus asks its API.
func (s *stack) prometheus(ctx context.Context, question string, answer any) error {
	body, err := get(ctx, fmt.Sprintf("http://127.0.0.1:%d/api/v1/%s", s.ports["PROMETHEUS_PORT"], question))
	if err != nil {
		return err
	}
	defer body.Close()
	return json.NewDecoder(body).Decode(&struct{ Data any }{answer})
}
