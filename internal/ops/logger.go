package ops

import (
	"io"
	"log/slog"

	"github.com/lmittmann/tint"
)

// NewLogger makes the log of a process. Level is debug, info, warn or error
// (info when it is none of them); format is text, json or auto, which is text
// on a terminal and JSON otherwise.
func NewLogger(w io.Writer, level, format string, isTerminal bool) *slog.Logger {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		least = slog.LevelInfo
	}
	if format == "text" || format != "json" && isTerminal {
		return slog.New(tint.NewTextHandler(w, &tint.Options{
			Level:      least,
			TimeFormat: "15:04:05.000",
			NoColor:    !isTerminal,
		}))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least}))
}
