// Command generate writes the Grafana dashboards into a folder.
//
// What they show is the package boards' matter. It owns no goroutine.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tokenrelay/tokenrelay/deploy/observe/boards"
)

func main() {
	if len(os.Args) != 2 {
		_, _ = fmt.Fprintln(os.Stderr, "usage: generate FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(folder string) error {
	files, err := boards.All()
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil { //nolint:gosec // whoever mounts them reads them
			return err
		}
	}
	return nil
}
