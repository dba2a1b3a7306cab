// Package build says what is running: the version, the revision of the source
// and the Go version.
//
// It knows what the linker and the Go tool wrote into the binary, and nothing
// else. It owns no goroutine.
package build

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// The linker sets both with -X where the Go tool cannot see the repository, as
// in an image that is built without it.
var version, revision string

// Info is what is running.
type Info struct {
	Version   string // v1.2.3, or (devel)
	Revision  string // of the source; empty when unknown; "-dirty" when it was changed
	GoVersion string
}

// Read tells what this binary is.
func Read() Info {
	info := Info{Version: "(devel)", GoVersion: runtime.Version()}
	if read, ok := debug.ReadBuildInfo(); ok {
		info = info.with(read)
	}
	if version != "" {
		info.Version = version
	}
	if revision != "" {
		info.Revision = revision
	}
	return info
}

// with adds what the Go tool wrote.
func (i Info) with(read *debug.BuildInfo) Info {
	if read.Main.Version != "" {
		i.Version = read.Main.Version
	}
	for _, setting := range read.Settings {
		switch {
		case setting.Key == "vcs.revision":
			i.Revision = setting.Value + i.Revision
		case setting.Key == "vcs.modified" && setting.Value == "true":
			i.Revision += "-dirty"
		}
	}
	return i
}

// String is the line that --version prints after the command's name.
func (i Info) String() string {
	revision := i.Revision
	if revision == "" {
		revision = "unknown"
	}
	return fmt.Sprintf("%s (revision %s, %s)", i.Version, revision, i.GoVersion)
}
