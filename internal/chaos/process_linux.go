package main

import "syscall"

// childAttributes: a group of its own, so that the terminal's Ctrl-C reaches
// only the harness; and it dies with the harness.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
