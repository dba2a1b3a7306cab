package console

import (
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq/replay"
)

// A death is not painted as a delivery, whatever its provider says.
func TestReportRowTones(t *testing.T) {
	t.Parallel()
	row := reportRow(replay.GroupReport{Delivered: 3, Died: 12, DiedOf: "http_400: 3 could not be delivered"})
	if len(row.Lines) != 2 || row.Lines[0].Tone != "good" || row.Lines[1].Tone != "" {
		t.Errorf("%+v", row.Lines)
	}
}
