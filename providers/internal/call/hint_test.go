package call

import "testing"

// The table is what people read in a hold's warning.
func TestHint(t *testing.T) {
	t.Parallel()
	v := Variables{Access: "X_KEY and X_REGION", Address: "X_BASE_URL and X_REGION", Concurrency: "X_MAX_CONCURRENT"}
	for trouble, want := range map[trouble]string{
		interrupted: "",
		access:      "check X_KEY and X_REGION",
		crowded:     "other callers of the account count too; check X_MAX_CONCURRENT",
		elsewhere:   "check X_BASE_URL and X_REGION",
		unreachable: "check X_BASE_URL and X_REGION, and HTTPS_PROXY where there is a proxy; if X is just down, delivery resumes by itself",
		slow:        "if X is slow and not down, check HTTP_TIMEOUT; else delivery resumes by itself",
		theirs:      "nothing to set here: the trouble is X's or the network's, and delivery resumes by itself",
	} {
		if got := v.hint(trouble, "X"); got != want {
			t.Errorf("trouble %d:\n%s, want\n%s", trouble, got, want)
		}
	}
}
