package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/dlq"
)

// errAnew: the plan goes by places, which mean nothing in another stream.
var errAnew = errors.New("was deleted and made anew since the letters were counted: nothing more is replayed; run it again")

func anew(stream string) error { return fmt.Errorf("stream %s %w", stream, errAnew) }

// isAnew asks whether both streams are the ones that were read.
func (p *Plan) isAnew(ctx context.Context) error {
	extent, err := p.letters.Extent(ctx)
	if err != nil {
		return err
	}
	events, err := p.events.Info(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("stream %s: %w", consumer.EventsStream, err)
	case !extent.Created.Equal(p.extent.Created):
		return anew(dlq.Stream)
	case !events.Created.Equal(p.created):
		return anew(consumer.EventsStream)
	}
	return nil
}
