// Package rules holds no code, only tests: what must hold for the tree as a
// whole. Who may import whom, what every package and file owes its reader, and
// that the documents say what the code does.
//
// It refuses to know what any package is for. It owns no goroutine.
package rules
