package delivery

import "strings"

// isInbox: the header is chosen by whoever may publish events, and the worker
// publishes with its own rights, so only a literal inbox is honoured.
func isInbox(subject string) bool {
	return strings.HasPrefix(subject, "_INBOX.") && len(subject) > len("_INBOX.") && len(subject) <= 256 &&
		!strings.ContainsAny(subject, " \t\r\n*>") && !strings.Contains(subject, "..") && !strings.HasSuffix(subject, ".")
}
