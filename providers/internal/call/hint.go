package call

// Variables are those of a provider that a hint may name, as an operator
// writes them.
type Variables struct {
	Access      string // the credentials and what they belong to
	Address     string // where the provider is
	Concurrency string // how many calls may be open
}

// trouble is what kept a call from its end, seen by whoever may have to mend
// something. The zero trouble is nobody's.
type trouble int

const (
	interrupted trouble = iota // by ourselves
	access                     // our credentials were refused
	crowded                    // too many calls
	elsewhere                  // whoever answers is not the provider we meant
	unreachable                // nobody answers there
	slow                       // no answer within the call's time
	theirs                     // the provider's own, or the network's
)

// hint is the table of what a person can do about each trouble: one line that
// names the variable to look at, or says that there is none.
func (v Variables) hint(t trouble, provider string) string {
	switch t {
	case access:
		return "check " + v.Access
	case crowded:
		return "other callers of the account count too; check " + v.Concurrency
	case elsewhere:
		return "check " + v.Address
	case unreachable:
		return "check " + v.Address + ", and HTTPS_PROXY where there is a proxy; if " + provider + " is just down, delivery resumes by itself"
	case slow:
		return "if " + provider + " is slow and not down, check HTTP_TIMEOUT; else delivery resumes by itself"
	case theirs:
		return "nothing to set here: the trouble is " + provider + "'s or the network's, and delivery resumes by itself"
	}
	return ""
}
