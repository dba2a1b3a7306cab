package app

import (
	"github.com/tokenrelay/tokenrelay/event"
	"github.com/tokenrelay/tokenrelay/internal/flow"
)

// counted are this worker's figures, for its announcements.
func (w *Worker) counted() map[string]flow.Figures {
	figures := map[string]flow.Figures{}
	for name, desk := range w.desks {
		f := desk.Figures()
		told := flow.Figures{
			Delivered: f.Delivered, Dead: f.Dead, Skipped: f.Skipped, Erased: f.Erased,
			OpenCalls: uint32(f.OpenCalls), Permits: uint32(f.Permits),
		}
		if name == event.CleverTap {
			told.PermitCap = uint32(w.settings.Providers.CleverTap.MaxConcurrent)
		}
		figures[name] = told
	}
	return figures
}
