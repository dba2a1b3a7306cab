// Package e2e_test holds the whole chain to its promises: events published to
// a real JetStream, the real worker, the providers' sandbox over real HTTP,
// and letters read back from the stream. Each test builds a world of its own,
// and waits for conditions; nothing here measures time.
//
// It knows every room from outside only. The worker runs in this process, and
// as the built command where a test kills it or reads its exit code.
package e2e_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tokenrelay-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries.dir = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}
