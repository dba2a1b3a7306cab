package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

const courierCalls = 64

// put is the body of a call, and with UserID what is needed of an event.
type put struct {
	ProviderKey string          `json:"provider_key"`
	Properties  json.RawMessage `json:"properties,omitempty"`
	Device      *device         `json:"device,omitempty"`
	Tracking    *tracking       `json:"tracking,omitempty"`
	ExpiryDate  json.RawMessage `json:"expiry_date,omitempty"`
	Token       string          `json:"token"`
}

type device struct {
	AppID        string `json:"app_id,omitempty"`
	AdID         string `json:"ad_id,omitempty"`
	DeviceID     string `json:"device_id,omitempty"`
	Platform     string `json:"platform,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
}

type tracking struct {
	OSVersion string `json:"os_version,omitempty"`
	IP        string `json:"ip,omitempty"`
	Lat       string `json:"lat,omitempty"`
	Long      string `json:"long,omitempty"`
}

// courier is 64 goroutines with a call open each, fed by one that pulls.
func courier(ctx context.Context, cons jetstream.Consumer, base string) error {
	client := newClient(courierCalls)
	messages, err := cons.Messages()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, messages.Stop)()
	work := make(chan jetstream.Msg)
	group.Go(func() error {
		defer close(work)
		for {
			m, err := messages.Next()
			switch {
			case errors.Is(err, jetstream.ErrMsgIteratorClosed):
				return nil
			case err != nil:
				return err
			}
			select {
			case work <- m:
			case <-ctx.Done():
				return nil
			}
		}
	})
	for range courierCalls {
		group.Go(func() error {
			for m := range work {
				if err := putToken(client, base, m); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func putToken(client *http.Client, base string, m jetstream.Msg) error {
	var event struct {
		put
		UserID string `json:"user_id"`
		Type   string `json:"type"`
	}
	if err := json.Unmarshal(m.Data(), &event); err != nil {
		return err
	}
	if event.ProviderKey == "" {
		switch event.Type {
		case "fcm", "gcm":
			event.ProviderKey = "firebase-fcm"
		case "apns":
			event.ProviderKey = "apn"
		}
	}
	encoded, err := json.Marshal(event.put)
	if err != nil {
		return err
	}
	address := base + "/users/" + url.PathEscape(event.UserID) + "/tokens/" + url.PathEscape(event.Token)
	req, err := http.NewRequest(http.MethodPut, address, bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer key")
	req.Header.Set("Content-Type", "application/json")
	if err := send(client, req); err != nil {
		return err
	}
	return m.Ack()
}

// newClient keeps as many connections as calls are open.
func newClient(calls int) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = calls
	transport.MaxIdleConns = calls
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// send makes the call and empties the answer, so that the connection is used
// again.
func send(client *http.Client, req *http.Request) error {
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
