package e2e_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// metrics are the samples of a scrape, by name and labels as they are written.
type metrics map[string]float64

func scrape(t testing.TB, addr string) metrics {
	t.Helper()
	return parseMetrics(t, fetch(t, "http://"+addr+"/metrics"))
}

func fetch(t testing.TB, url string) string {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return string(body)
}

func parseMetrics(t testing.TB, text string) metrics {
	t.Helper()
	m := metrics{}
	for line := range strings.Lines(text) {
		series, value, found := cutLast(strings.TrimSpace(line), " ")
		if strings.HasPrefix(line, "#") || !found {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("metric %q: %v", line, err)
		}
		m[strings.TrimPrefix(series, "tokenrelay_")] = number
	}
	return m
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// of is the sample of a series of one provider, such as events_total with
// outcome="dead". A series that is not there fails the test.
func (m metrics) of(t testing.TB, name, provider string, labels ...string) float64 {
	t.Helper()
	for series, value := range m {
		rest, ok := strings.CutPrefix(series, name+"{")
		if !ok {
			continue
		}
		has := strings.Contains(rest, `provider="`+provider+`"`)
		for _, label := range labels {
			has = has && strings.Contains(rest, label)
		}
		if has {
			return value
		}
	}
	t.Fatalf("no series %s of %s with %q", name, provider, labels)
	return 0
}

// names are the series' names and labels.
func (m metrics) names() map[string]bool {
	names := map[string]bool{}
	for series := range maps.Keys(m) {
		names[series] = true
	}
	return names
}

// held is why the provider is held, "" when it is not.
func (m metrics) held(t testing.TB, provider string) string {
	t.Helper()
	var held []string
	for _, reason := range []string{"throttled", "unauthorized", "unavailable", "misconfigured"} {
		if m.of(t, "provider_held", provider, fmt.Sprintf("reason=%q", reason)) == 1 {
			held = append(held, reason)
		}
	}
	if len(held) > 1 {
		t.Errorf("%s is held for %q at once", provider, held)
	}
	return strings.Join(held, " ")
}
