package build

import (
	"runtime/debug"
	"testing"
)

func TestInfo(t *testing.T) {
	t.Parallel()
	info := Info{Version: "(devel)", GoVersion: "go1.26.0"}
	if got, want := info.String(), "(devel) (revision unknown, go1.26.0)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	info = info.with(&debug.BuildInfo{
		Main:     debug.Module{Version: "v1.2.3"},
		Settings: []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}, {Key: "vcs.revision", Value: "abc"}},
	})
	if got, want := info.String(), "v1.2.3 (revision abc-dirty, go1.26.0)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
