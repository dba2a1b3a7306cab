// Package manual has tests only: the manual pages and completions of every
// command, read by the programs that they are for. Where these are missing, the
// tests install them (root, apt-get), or fail and say what is missing.
package manual
