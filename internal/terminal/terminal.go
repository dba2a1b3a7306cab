// Package terminal says whether a person watches: colours, bars and questions
// are for a terminal, plain lines for everything else.
//
// It knows files and refuses to know what is written to them. It owns no
// goroutine.
package terminal

import (
	"os"

	"golang.org/x/term"
)

// Is says whether a stream, a reader or a writer, is a terminal.
func Is(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
