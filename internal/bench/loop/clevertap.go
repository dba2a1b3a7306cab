package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

const (
	batchSize      = 100
	cleverTapCalls = 3
)

type keys struct {
	P256dh string `json:"p256dh"`
	Auth   string `json:"auth"`
}

// upload is the body of a call.
type upload struct {
	D []uploadRecord `json:"d"`
}

type uploadRecord struct {
	Type      string    `json:"type"`
	TokenData tokenData `json:"tokenData"`
	ObjectID  string    `json:"objectId"`
}

type tokenData struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Keys *keys  `json:"keys,omitempty"`
}

// cleverTap is three goroutines, each with one call open at a time.
func cleverTap(ctx context.Context, cons jetstream.Consumer, url string) error {
	client := newClient(cleverTapCalls)
	group, ctx := errgroup.WithContext(ctx)
	for range cleverTapCalls {
		group.Go(func() error {
			messages := make([]jetstream.Msg, 0, batchSize)
			for ctx.Err() == nil {
				fetched, err := cons.Fetch(batchSize, jetstream.FetchMaxWait(time.Second))
				if err != nil {
					return err
				}
				messages = messages[:0]
				for m := range fetched.Messages() {
					messages = append(messages, m)
				}
				if err := fetched.Error(); err != nil && !errors.Is(err, context.Canceled) {
					return err
				}
				if len(messages) == 0 {
					continue
				}
				if err := uploadBatch(client, url, messages); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func uploadBatch(client *http.Client, url string, messages []jetstream.Msg) error {
	body := upload{D: make([]uploadRecord, len(messages))}
	for i, m := range messages {
		var event struct {
			ObjectID string `json:"object_id"`
			Token    string `json:"token"`
			Type     string `json:"type"`
			Keys     *keys  `json:"keys"`
		}
		if err := json.Unmarshal(m.Data(), &event); err != nil {
			return err
		}
		body.D[i] = uploadRecord{Type: "token", TokenData: tokenData{event.Token, event.Type, event.Keys}, ObjectID: event.ObjectID}
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	req.Header.Set("X-CleverTap-Account-Id", "account")
	req.Header.Set("X-CleverTap-Passcode", "passcode")
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	if err := send(client, req); err != nil {
		return err
	}
	for _, m := range messages {
		if err := m.Ack(); err != nil {
			return err
		}
	}
	return nil
}
