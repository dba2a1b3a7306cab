package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/tokenrelay/tokenrelay/event"
)

// reject is one line of the reject file. Like the input it holds personal
// data, so that a line can be mended and imported.
type reject struct {
	Line    int64  `json:"line"`
	Field   string `json:"field"`
	Problem string `json:"problem"`
	Input   string `json:"input,omitzero"` // absent when it is no text or too long
}

// longestReject bounds what is kept of each of the many lines on their way to
// the reject file.
const longestReject = 256 << 10

func newReject(number int64, input []byte, v *event.Violation) *reject {
	r := &reject{Line: number, Field: v.Field, Problem: v.Problem}
	if len(input) <= longestReject && utf8.Valid(input) {
		r.Input = string(input)
	}
	return r
}

// rejects is the reject file, made with the first bad line.
type rejects struct {
	path string
	size int64
	file *os.File
}

// openRejects goes on behind what an earlier run had confirmed: what it wrote
// after that is written again. A fresh import overwrites nobody's file.
func openRejects(path string, fresh bool, size int64) (*rejects, error) {
	r := &rejects{path: path, size: size}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.size = 0 // or moved away meanwhile, to be mended
		return r, nil
	case err != nil:
		return nil, err
	case fresh && info.Size() > 0:
		return nil, fmt.Errorf("%s exists: move it away, or name another file with --rejects", path)
	}
	r.size = min(size, info.Size())
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, r.file.Truncate(r.size)
}

func (r *rejects) open() (err error) {
	// No O_APPEND: the place is known, and a torn line is overwritten.
	r.file, err = os.OpenFile(r.path, os.O_CREATE|os.O_WRONLY, 0o600)
	return err
}

func (r *rejects) put(rejected *reject) error {
	if r.file == nil {
		if err := r.open(); err != nil {
			return err
		}
	}
	data, err := json.Marshal(rejected)
	if err != nil {
		return err
	}
	n, err := r.file.WriteAt(append(data, '\n'), r.size)
	r.size += int64(n)
	if err != nil {
		return fmt.Errorf("reject file: %w", err)
	}
	return nil
}

func (r *rejects) sync() error {
	if r.file == nil {
		return nil
	}
	return r.file.Sync()
}

func (r *rejects) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
