//go:build unix

package main

import (
	"errors"
	"os"
	"syscall"
)

// lock keeps a second import away from the same input. It ends with f, and
// with the process however that ends.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errors.New("another import of it is running")
	}
	return nil // a file system without locks is no reason to stop
}
