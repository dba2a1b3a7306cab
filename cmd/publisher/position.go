package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// position is how far an import has come: every line up to Line is in the
// stream or in the reject file. It is kept in a file beside the input.
type position struct {
	Line    int64     `json:"line"`
	Offset  int64     `json:"offset"`            // bytes
	Closed  bool      `json:"ends_with_newline"` // whether the line at Offset was complete
	Sum     []byte    `json:"sha256"`            // of the input up to Offset
	After   uint64    `json:"after"`             // every later event has a higher sequence in the stream
	Done    bool      `json:"done"`              // the input ended here
	Saved   time.Time `json:"saved"`
	Counts  counts    `json:"counts"`
	Rejects int64     `json:"reject_bytes"` // size of the reject file
}

// counts of lines, over all runs.
type counts struct {
	Stored     int64 `json:"stored"`
	Duplicates int64 `json:"duplicates"` // the stream had their id already
	Rejected   int64 `json:"rejected"`
}

// loadPosition reads the file; nil when there is none.
func loadPosition(path string) (*position, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var p position
	if err := json.Unmarshal(data, &p, json.RejectUnknownMembers(true)); err != nil || p.Line < 0 || p.Offset < 0 || len(p.Sum) != sha256.Size {
		return nil, fmt.Errorf("%s is no progress file of an import", path)
	}
	return &p, nil
}

// save replaces the file in one step, on disk before it returns.
func (p position) save(path string) error {
	p.Saved = time.Now().UTC().Truncate(time.Second)
	data, err := json.Marshal(p, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone when all went well
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
