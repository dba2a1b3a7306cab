package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
)

// maxLine is the longest line that is read as a whole. A message has up to
// 1 MiB, headers included, as long as nobody raises the broker's max_payload;
// in a line of dlq export the most of it that can become is six times as much,
// where all of it are control characters in headers.
const maxLine = 8 << 20

// readAhead is what is read at a time; longer lines are put together.
const readAhead = 64 << 10

// line is one line of the input.
type line struct {
	number  int64  // from 1
	end     int64  // the offset behind it
	text    []byte // without its end; valid until the next line is read
	tooLong bool   // over maxLine; text is empty
}

// lines reads an input line by line, in bounded memory, and sums up all that
// it has read. It belongs to one goroutine.
type lines struct {
	in     *bufio.Reader
	long   []byte // the line, when it is longer than what is read at a time
	sum    hash.Hash
	number int64
	offset int64
	closed bool // the last line had its end
}

func newLines(in io.Reader) *lines {
	return &lines{in: bufio.NewReaderSize(in, readAhead), sum: sha256.New(), closed: true}
}

var errUTF16 = errors.New("the text is UTF-16; UTF-8 is needed (iconv -f UTF-16 -t UTF-8)")

// next returns io.EOF behind the last line.
func (l *lines) next() (line, error) {
	if l.offset == 0 {
		start, _ := l.in.Peek(3)
		if bytes.HasPrefix(start, []byte{0xff, 0xfe}) || bytes.HasPrefix(start, []byte{0xfe, 0xff}) {
			return line{}, errUTF16
		}
	}
	first := l.offset == 0
	text, tooLong, err := l.piece()
	if err != nil && !errors.Is(err, io.EOF) {
		return line{}, err
	}
	if len(text) == 0 && !tooLong {
		return line{}, io.EOF
	}
	l.closed = bytes.HasSuffix(text, []byte{'\n'})
	l.number++
	if tooLong {
		return line{number: l.number, end: l.offset, tooLong: true}, nil
	}
	if first {
		text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // a byte order mark
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte{'\n'}), []byte{'\r'})
	return line{number: l.number, end: l.offset, text: text}, nil
}

// piece reads up to the end of a line, which it includes. Of one that is too
// long only the last bytes are there.
func (l *lines) piece() (text []byte, tooLong bool, err error) {
	text, err = l.in.ReadSlice('\n')
	l.took(text)
	if !errors.Is(err, bufio.ErrBufferFull) {
		return text, false, err
	}
	l.long = append(l.long[:0], text...)
	for errors.Is(err, bufio.ErrBufferFull) {
		text, err = l.in.ReadSlice('\n')
		l.took(text)
		if tooLong = tooLong || len(l.long)+len(text) > maxLine; !tooLong {
			l.long = append(l.long, text...)
		}
	}
	if tooLong {
		return text, true, err
	}
	return l.long, false, err
}

func (l *lines) took(text []byte) {
	l.offset += int64(len(text))
	l.sum.Write(text)
}

// digest is the sum of all that was read.
func (l *lines) digest() []byte { return l.sum.Sum(nil) }

var errChanged = errors.New("the input is not the one that was begun")

// skip reads up to a position that an earlier run had reached, and makes sure
// that it is still the same text.
func (l *lines) skip(to position) error {
	n, err := io.CopyN(l.sum, l.in, to.Offset)
	if errors.Is(err, io.EOF) || err == nil && !bytes.Equal(l.digest(), to.Sum) {
		return errChanged
	}
	if err != nil {
		return err
	}
	l.offset, l.number = n, to.Line
	if to.Closed {
		return nil
	}
	// The file ended in mid-line then. What was added must begin a new one.
	added, err := l.in.Peek(1)
	if len(added) == 0 {
		return ignoreEOF(err)
	}
	if added[0] == '\r' {
		if _, err := l.in.Discard(1); err != nil {
			return err
		}
		l.took(added)
		added, _ = l.in.Peek(1)
	}
	if len(added) == 0 || added[0] != '\n' {
		return errChanged
	}
	l.took(added)
	_, err = l.in.Discard(1)
	return err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
