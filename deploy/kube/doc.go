// Package kube holds no code, only a test: that a real API server takes what
// the chart makes, in a namespace that enforces pod security.
//
// It is a module of its own, since a Kubernetes of one's own takes minutes to
// compile.
package kube
