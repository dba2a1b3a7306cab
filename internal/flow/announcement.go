package flow

import (
	"time"

	"github.com/go-json-experiment/json"
)

// Subject is where workers announce their figures. No stream keeps them.
const Subject = "tokenrelay.figures"

// Every is how often.
const Every = 2 * time.Second

// Announcement is what one worker says of itself.
type Announcement struct {
	Pod       string             `json:"pod"`     // its name, another one at each start
	Started   time.Time          `json:"started"` // by its own clock, for people
	AgeMS     int64              `json:"age_ms"`  // how long ago that was, for who compares
	Version   string             `json:"version"`
	Ended     bool               `json:"ended,omitzero"` // it is its last
	Providers map[string]Figures `json:"providers"`
}

// Figures are what a worker counted at one provider since it started, and
// what it has open and holds now.
type Figures struct {
	Delivered uint64 `json:"delivered"`
	Dead      uint64 `json:"dead"`
	Skipped   uint64 `json:"skipped"`
	Erased    uint64 `json:"erased"`
	OpenCalls uint32 `json:"open_calls"`
	Permits   uint32 `json:"permits"`
	PermitCap uint32 `json:"permit_cap,omitzero"` // CLEVERTAP_MAX_CONCURRENT; the others have none
}

func (a *Announcement) age() time.Duration { return time.Duration(a.AgeMS) * time.Millisecond }

// What no worker of ours says; who does is not listened to.
const (
	mostBytes = 4 << 10
	mostName  = 256
	mostAge   = 100 * 365 * 24 * time.Hour
	mostCount = 1 << 53 // beyond this JSON numbers are no longer exact
	mostOpen  = 1 << 16
	mostCap   = 100
)

// read is nil for what cannot be an announcement.
func read(data []byte) *Announcement {
	a := &Announcement{}
	if len(data) > mostBytes || json.Unmarshal(data, a) != nil {
		return nil
	}
	if a.Pod == "" || len(a.Pod) > mostName || a.AgeMS < 0 || a.AgeMS > mostAge.Milliseconds() {
		return nil
	}
	for _, f := range a.Providers {
		if max(f.Delivered, f.Dead, f.Skipped, f.Erased) > mostCount || max(f.OpenCalls, f.Permits) > mostOpen || f.PermitCap > mostCap {
			return nil
		}
	}
	return a
}
