package sandbox

import (
	"encoding/json"
	"time"
)

// Report is what the sandbox has seen since it started or was reset.
type Report struct {
	Since     time.Time      `json:"since"`
	CleverTap ProviderReport `json:"clevertap"`
	Courier   ProviderReport `json:"courier"`
	Rules     []RuleReport   `json:"rules"`
}

// ProviderReport counts one provider's calls and records.
type ProviderReport struct {
	Calls     int            `json:"calls"`      // that have ended
	Statuses  map[string]int `json:"statuses"`   // calls by HTTP status; "none" got no whole answer: reset, cut short, or the client left
	Open      int            `json:"open"`       // calls open now, from arrival until just before the answer is written
	PeakOpen  int            `json:"peak_open"`  // most calls open at once, those answered 429 included
	Throttled int            `json:"throttled"`  // calls over the cap, answered 429; those by a rule are in Statuses only
	Records   int            `json:"records"`    // in all calls whose body could be read
	Accepted  int            `json:"accepted"`   // records, repetitions included
	Repeated  int            `json:"repeated"`   // of these: the same identity with the same token again
	DryRun    int            `json:"dry_run"`    // records that a dry run found good
	Refused   map[string]int `json:"refused"`    // records by code, in dry runs too
	CallSizes map[int]int    `json:"call_sizes"` // calls by their number of records, where the body could be read
	MeanSize  float64        `json:"mean_size"`  // records a call
	MaxSize   int            `json:"max_size"`
	Forgotten int            `json:"forgotten"` // accepted and refused records no longer remembered, see Settings.Keep and Recording
}

// RuleReport is a rule and what it has done.
type RuleReport struct {
	Rule   Rule `json:"rule"`
	Active bool `json:"active"` // now
	Hits   int  `json:"hits"`   // calls that it changed
}

// Record is one record that the sandbox accepted or refused.
type Record struct {
	Seq      int             `json:"seq"` // 1, 2, … among the accepted, and among the refused records of its provider
	At       time.Time       `json:"at"`
	Provider string          `json:"provider"`
	Call     int             `json:"call"`     // Call.Seq
	Identity string          `json:"identity"` // CleverTap's objectId, Courier's user id
	Token    string          `json:"token"`
	Code     string          `json:"code,omitzero"`     // why it was refused
	Repeated bool            `json:"repeated,omitzero"` // the same identity with the same token was accepted before
	Body     json.RawMessage `json:"body"`              // as it was sent: CleverTap's record, Courier's body
}

// Call is one HTTP request to a provider. It holds no personal data.
type Call struct {
	Seq      int       `json:"seq"` // 1, 2, … in the order of arrival at its provider
	Provider string    `json:"provider"`
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	Records  int       `json:"records"`
	Status   int       `json:"status"`        // 0: no whole answer
	Open     int       `json:"open"`          // calls open when it arrived, itself included
	Rule     string    `json:"rule,omitzero"` // name or effect of the rule that decided the whole answer

	over bool // the cap
	read bool // Records is known
}
