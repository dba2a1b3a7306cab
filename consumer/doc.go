// Package consumer is the worker's side of JetStream: it declares the streams,
// consumers and the bucket of fleet state, brings and keeps them in shape,
// pulls messages, keeps alive what is held and settles each message once.
//
// It knows JetStream and the fixed names in it. It refuses to know what an
// event says, what a provider answers and who decides an outcome: a provider
// is a word in a subject here.
//
// A Consumer owns two goroutines (keep-alive and floor), from Open to Close.
// A Pull runs in its caller's.
package consumer
