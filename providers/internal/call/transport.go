package call

import (
	"net"
	"net/http"
	"time"
)

// idleTimeout is shorter than the 60 s after which the usual load balancers
// close an idle connection: a request must not meet one that is being closed,
// because it is not sent again.
const idleTimeout = 45 * time.Second

// maxHeader is what a provider's answer may need in headers, generously.
const maxHeader = 64 << 10

// newTransport speaks HTTP/1.1 only. HTTP/2 would send a request again after
// GOAWAY or REFUSED_STREAM, and one dead connection would hang every call at
// once; both providers' documents show HTTP/1.1 clients.
func newTransport(s Settings) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: s.Timeout, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    s.Timeout,
		MaxIdleConnsPerHost:    s.Connections,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // answers are short
		WriteBufferSize:        s.WriteBuffer,
		Protocols:              protocols,
	}
}
