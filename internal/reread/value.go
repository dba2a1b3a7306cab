// Package reread keeps in use what files say, and reads them again when they
// change: passcodes, keys and certificates, as a platform rotates them.
//
// It knows files and their contents as bytes; what they say it is told by who
// hands in how to read them. A file that is wrong keeps what it said before.
// It owns no goroutine: Watch.Run is its caller's.
package reread

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// most is the largest file that is read. A bundle of authorities has some
// hundred KiB.
const most = 1 << 20

// Value is what one file says, or several that belong together. It is safe for
// concurrent use.
type Value[T any] struct {
	variables []string // that name the files, in the order of paths
	paths     []string
	parse     func(contents [][]byte) (T, error)
	once      bool // a pipe is among the files: it can be read once
	current   atomic.Pointer[T]

	mu      sync.Mutex
	taken   [sha256.Size]byte // of the contents in use
	version int               // of the contents in use; the first is 1
}

// Open reads the files, which the variables name one each, for the first time.
// The error of parse must show nothing of the contents; it becomes part of a
// line in the log.
func Open[T any](variables, paths []string, parse func(contents [][]byte) (T, error)) (*Value[T], error) {
	v := &Value[T]{variables: variables, paths: paths, parse: parse}
	contents, err := v.read(Read)
	if err != nil {
		return nil, err
	}
	return v.open(contents)
}

// Opened is Open for a file whose content was read just now.
func Opened[T any](variable, path string, content []byte, parse func(contents [][]byte) (T, error)) (*Value[T], error) {
	v := &Value[T]{variables: []string{variable}, paths: []string{path}, parse: parse}
	return v.open([][]byte{content})
}

func (v *Value[T]) open(contents [][]byte) (*Value[T], error) {
	v.once = slices.ContainsFunc(v.paths, isPipe)
	if err := v.take(contents); err != nil {
		return nil, err
	}
	return v, nil
}

// Get is what the files said when they were last right.
func (v *Value[T]) Get() T { return *v.current.Load() }

// Version rises by one whenever the files say something else.
func (v *Value[T]) Version() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.version
}

// Reread reads the files again; Get is what they say then. Its error, Problems,
// names variables and files, and Get stays as it was.
func (v *Value[T]) Reread() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.once {
		return nil
	}
	contents, err := v.read(func(path string) ([]byte, error) {
		if isPipe(path) { // it was a file; nobody may ever write to this
			return nil, errors.New("a pipe by now")
		}
		return Read(path)
	})
	if err != nil {
		return err
	}
	return v.take(contents)
}

func (v *Value[T]) read(one func(path string) ([]byte, error)) ([][]byte, error) {
	var err error
	contents := make([][]byte, len(v.paths))
	var problems Problems
	for i, path := range v.paths {
		if contents[i], err = one(path); err != nil {
			problems = append(problems, Problem{v.variables[i], path, fmt.Errorf("cannot be read: %w", err)})
		}
	}
	if problems != nil {
		return nil, problems
	}
	return contents, nil
}

// take puts contents to use that are not in use yet.
func (v *Value[T]) take(contents [][]byte) error {
	digest := digestOf(contents)
	if v.current.Load() != nil && digest == v.taken {
		return nil
	}
	value, err := v.parse(contents)
	if err != nil {
		return Problems{{v.variables[0], v.paths[0], err}}
	}
	v.current.Store(&value)
	v.taken = digest
	v.version++
	return nil
}

// String is the variables with their files: `X_FILE is "/run/x"`.
func (v *Value[T]) String() string {
	parts := make([]string, len(v.paths))
	for i, path := range v.paths {
		parts[i] = fmt.Sprintf("%s is %q", v.variables[i], path)
	}
	return strings.Join(parts, " and ")
}

// Problem is what is wrong with one file.
type Problem struct {
	Variable string // that names the file
	Path     string
	Err      error
}

// Problems are what is wrong with the files of a Value, one or more.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = fmt.Sprintf("%s is %q, %v", one.Variable, one.Path, one.Err)
	}
	return strings.Join(lines, "; ")
}

// digestOf keeps the files apart.
func digestOf(contents [][]byte) [sha256.Size]byte {
	var all bytes.Buffer
	for _, content := range contents {
		sum := sha256.Sum256(content)
		all.Write(sum[:])
	}
	return sha256.Sum256(all.Bytes())
}

// isPipe tells what is no file that could be read again: a process substitution
// of a shell, standard input, a named pipe.
func isPipe(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// Read is a file whole. The error is without the path, which the line has
// already.
func Read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	switch {
	case err != nil:
		return nil, cause(err)
	case len(content) > most:
		return nil, errors.New("larger than 1 MiB")
	}
	return content, nil
}

func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
