package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/tokenrelay/tokenrelay/internal/config"
	"github.com/tokenrelay/tokenrelay/publisher"
)

// importCommand publishes a file.
type importCommand struct {
	File     string      `arg:"" help:"The input; - is standard input, which cannot be resumed."`
	Format   string      `enum:"auto,jsonl,csv" default:"auto" help:"auto goes by the name: .csv, .jsonl, .ndjson, .json; standard input is jsonl."`
	Rate     float64     `min:"0" default:"0" help:"At most so many events a second; 0 is as fast as the broker confirms them."`
	Rejects  string      `placeholder:"PATH" help:"Where bad lines go, with the reason; FILE.rejects when not given."`
	Progress string      `placeholder:"PATH" help:"Where the position is kept; FILE.progress when not given."`
	NATS     config.NATS `embed:"" group:"The broker"`
}

// AfterApply checks what goes together.
func (c *importCommand) AfterApply(check *config.Check) error {
	if c.File == "" {
		return nil // told already
	}
	if c.Format == "auto" {
		switch ext := strings.ToLower(filepath.Ext(c.File)); {
		case ext == ".csv":
			c.Format = "csv"
		case c.File == "-", ext == ".jsonl", ext == ".ndjson", ext == ".json":
			c.Format = "jsonl"
		default:
			check.Problem("--format", "not set", "must be jsonl or csv, for the file's name does not tell")
		}
	}
	name := c.File
	if name == "-" {
		name = "stdin"
		if c.Progress != "" {
			check.Problem("--progress", config.Quote(c.Progress), "must not be given for standard input, which cannot be resumed")
		}
	}
	if c.Rejects == "" {
		c.Rejects = name + ".rejects"
	}
	if c.Progress == "" {
		c.Progress = name + ".progress"
	}
	for flag, path := range map[string]string{"--rejects": c.Rejects, "--progress": c.Progress} {
		if same(path, c.File) || flag == "--rejects" && same(path, c.Progress) {
			check.Problem(flag, config.Quote(path), "must be a file of its own")
		}
	}
	return nil
}

func same(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func (c *importCommand) run(ctx context.Context, std streams) int {
	im := &importer{settings: c, std: std}
	err := im.open()
	if err == nil {
		err = im.connect(ctx, c.NATS)
	}
	if err == nil {
		err = im.run(ctx)
	}
	err = errors.Join(err, im.close())
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			say(std.err, errors.New(line))
		}
		return exitFailure
	}
	if im.at.Counts.Rejected > 0 {
		return exitFailure
	}
	return exitOK
}

// importer is one run of an import.
type importer struct {
	settings *importCommand
	std      streams

	input   io.Reader
	file    *os.File // nil when the input cannot be resumed
	size    int64    // of the input, -1 when unknown
	lines   *lines
	read    reader
	header  int64     // the line of the CSV header, 0 without one
	resumed *position // where an earlier run ended, nil without one
	rejects *rejects

	nc        *nats.Conn
	js        jetstream.JetStream
	publisher *publisher.Publisher
	limit     *rate.Limiter
	known     map[digest]bool // ids that an earlier run has stored behind its last position

	at      position // confirmed; only used by run's goroutine
	saved   position // what the progress file holds
	savedAt time.Time
	began   time.Time
}

// open looks at the input and at what an earlier run has left.
func (im *importer) open() error {
	c := im.settings
	im.size = -1
	im.input = im.std.in
	fresh := true
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		im.input = f
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if info.IsDir() {
			return fmt.Errorf("%s: a folder; a file is needed", c.File)
		}
		if info.Mode().IsRegular() {
			im.file, im.size = f, info.Size()
			if err := lock(f); err != nil {
				return fmt.Errorf("%s: %w", c.File, err)
			}
			if im.resumed, err = loadPosition(c.Progress); err != nil {
				return err
			}
		}
	}
	if im.resumed != nil {
		fresh = false
		im.at = *im.resumed
	}
	if err := im.begin(); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	var err error
	im.rejects, err = openRejects(c.Rejects, fresh, im.at.Rejects)
	return err
}

// begin reads the header, and goes on to where an earlier run ended.
func (im *importer) begin() error {
	im.lines = newLines(im.input)
	im.read = readJSON
	if err := im.head(); err != nil {
		return err
	}
	if im.file == nil {
		return nil
	}
	if _, err := im.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	im.lines = newLines(im.file)
	if im.resumed == nil {
		im.at.Sum, im.at.Closed = im.lines.digest(), true
		return nil
	}
	err := im.lines.skip(*im.resumed)
	if errors.Is(err, errChanged) {
		return fmt.Errorf("%w; delete %s to import all of it anew", err, im.settings.Progress)
	}
	return err
}

// head looks at the first line that says something.
func (im *importer) head() error {
	if im.settings.Format != "csv" {
		return nil
	}
	for {
		l, err := im.lines.next()
		if errors.Is(err, io.EOF) {
			return errors.New("no CSV header: the file is empty")
		}
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(l.text)) == 0 && !l.tooLong {
			continue
		}
		t, err := newTable(l.text)
		if err != nil {
			return err
		}
		im.read, im.header = t.read, l.number
		return nil
	}
}

func (im *importer) connect(ctx context.Context, settings config.NATS) error {
	var err error
	if im.nc, err = settings.Connect(ctx, "publisher import"); err != nil {
		return err
	}
	if im.js, err = jetstream.New(im.nc); err != nil {
		return err
	}
	im.publisher, err = publisher.New(im.js, publisher.Settings{MaxPending: maxPending, AckWait: ackWait, GiveUp: giveUp})
	if im.limit = rate.NewLimiter(rate.Inf, 1); im.settings.Rate > 0 {
		im.limit = rate.NewLimiter(rate.Limit(im.settings.Rate), 1+int(im.settings.Rate/20))
	}
	return err
}

// close ends what open and connect began. Nothing is under way then but what
// a failed run has given up.
func (im *importer) close() error {
	var errs []error
	if im.publisher != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = im.publisher.Close(ctx)
	}
	if im.nc != nil {
		im.nc.Close()
	}
	if im.rejects != nil {
		errs = append(errs, im.rejects.close())
	}
	if f, ok := im.input.(*os.File); ok && im.settings.File != "-" {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
