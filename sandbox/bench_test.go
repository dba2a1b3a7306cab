package sandbox_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/sandbox"
)

// The handlers alone: what the sandbox costs beside HTTP itself.
func BenchmarkHandler(b *testing.B) {
	for _, recording := range []sandbox.Recording{sandbox.RecordAll, sandbox.RecordCounts} {
		s, err := sandbox.New(sandbox.Settings{Recording: recording})
		if err != nil {
			b.Fatal(err)
		}
		handler := s.Handler()
		records := make([]string, 100)
		long := strings.Repeat("x", 140)
		for i := range records {
			records[i] = token(fmt.Sprintf("__g%030d", i), fmt.Sprintf("d%d:APA91%s", i, long))
		}
		cleverTap := batch(records...)
		run := func(b *testing.B, method, path, body string, header map[string]string, records int) {
			b.ReportAllocs()
			for b.Loop() {
				request := httptest.NewRequest(method, path, strings.NewReader(body))
				for name, value := range header {
					request.Header.Set(name, value)
				}
				recorder := httptest.NewRecorder()
				handler.ServeHTTP(recorder, request)
				if recorder.Code/100 != 2 {
					b.Fatalf("status %d", recorder.Code)
				}
			}
			b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "records/s")
		}
		b.Run("clevertap/"+string(recording), func(b *testing.B) {
			run(b, http.MethodPost, sandbox.CleverTapPath+"/1/upload", cleverTap, cleverTapHeader(), 100)
		})
		b.Run("courier/"+string(recording), func(b *testing.B) {
			run(b, http.MethodPut, sandbox.CourierPath+"/users/u/tokens/d:APA91"+long, android, courierHeader(), 1)
		})
	}
}

// Over HTTP, the client's work included.
func BenchmarkHTTP(b *testing.B) {
	s, err := sandbox.Start(sandbox.Settings{CleverTapCap: -1, Recording: sandbox.RecordCounts})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	records := make([]string, 100)
	for i := range records {
		records[i] = token(fmt.Sprintf("__g%030d", i), fmt.Sprintf("d%d:APA91%s", i, strings.Repeat("x", 140)))
	}
	run := func(b *testing.B, method, target, body string, header map[string]string, records int) {
		b.SetParallelism(4)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				request, err := http.NewRequest(method, target, strings.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				for name, value := range header {
					request.Header.Set(name, value)
				}
				response, err := client.Do(request)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		})
		b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "records/s")
	}
	b.Run("clevertap", func(b *testing.B) {
		run(b, http.MethodPost, s.CleverTapURL()+"/1/upload", batch(records...), cleverTapHeader(), 100)
	})
	b.Run("courier", func(b *testing.B) {
		run(b, http.MethodPut, s.CourierURL()+"/users/u/tokens/t", android, courierHeader(), 1)
	})
}
