//go:build unix && !linux

package main

import "syscall"

// childAttributes: a group of its own, so that the terminal's Ctrl-C reaches
// only the harness, which then ends its children.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
