// Package keda holds no code, only tests: that KEDA takes what the chart makes
// for it, and that KEDA's own scaler reads from a real broker what waits.
//
// It is a module of its own, since KEDA's brings every cloud's client along.
package keda
