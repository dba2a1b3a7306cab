package fleet

import (
	"context"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// change sets a key to a value, or deletes it when that is nil, as long as what
// it is to come after still holds. Refused, it returns what stands there
// instead; an error says nothing about whether the change was made.
type change func(ctx context.Context, key string, value []byte, after after) (next uint64, standing *record, err error)

// after is the state that a change is for.
type after struct {
	header string // what the server compares
	last   uint64
}

// revisionOf is a key that was not changed since, 0: that is not there.
func revisionOf(revision uint64) after { return after{jetstream.ExpectedLastSubjSeqHeader, revision} }

// nothingSince is a bucket in which no key at all was written since, 0: ever.
// Purges do not undo that.
func nothingSince(revision uint64) after { return after{jetstream.ExpectedLastSeqHeader, revision} }

// wrongLastSequenceReplicated is the refusal of a replicated stream that still
// has the competing write in flight.
const wrongLastSequenceReplicated jetstream.ErrorCode = 10164

// overJetStream changes a bucket's keys. The client's own KeyValue would read
// back from any replica after a refusal.
func overJetStream(nc *nats.Conn, bucket string) change {
	return func(ctx context.Context, key string, value []byte, after after) (uint64, *record, error) {
		message := nats.NewMsg("$KV." + bucket + "." + key)
		message.Data = value
		if value == nil {
			message.Header.Set("KV-Operation", "DEL")
		}
		message.Header.Set(after.header, strconv.FormatUint(after.last, 10))
		answer, err := nc.RequestMsgWithContext(ctx, message)
		if err != nil {
			return 0, nil, err
		}
		var ack struct {
			Seq   uint64              `json:"seq"`
			Error *jetstream.APIError `json:"error"`
		}
		if err := json.Unmarshal(answer.Data, &ack); err != nil {
			return 0, nil, fmt.Errorf("unreadable answer: %w", err)
		}
		switch {
		case ack.Error == nil:
			return ack.Seq, nil, nil
		case ack.Error.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence, ack.Error.ErrorCode == wrongLastSequenceReplicated:
			standing, err := readLeader(ctx, nc, bucket, key)
			if err != nil {
				return 0, nil, fmt.Errorf("it changed in the meantime; what stands there now is not known: %w", err)
			}
			return 0, standing, nil
		}
		return 0, nil, ack.Error
	}
}

// readLeader asks the stream's leader: a direct read may be answered by a
// replica that has not seen the competing write yet. An absent key is a record
// without value and revision.
func readLeader(ctx context.Context, nc *nats.Conn, bucket, key string) (*record, error) {
	request := fmt.Sprintf(`{"last_by_subj":"$KV.%s.%s"}`, bucket, key)
	answer, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET.KV_"+bucket, []byte(request))
	if err != nil {
		return nil, err
	}
	var stored struct {
		Message struct {
			Seq  uint64 `json:"seq"`
			Data []byte `json:"data"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &stored); err != nil {
		return nil, fmt.Errorf("unreadable answer: %w", err)
	}
	if stored.Error != nil {
		if stored.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return &record{}, nil
		}
		return nil, stored.Error
	}
	return &record{value: stored.Message.Data, revision: stored.Message.Seq}, nil
}
