// Package compose holds no code, only tests: what docker-compose.yml and the files
// beside it must keep to, as far as that shows without an engine. The drill shows
// the rest.
//
// It owns no goroutine.
package compose
