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
	mostCount = 1 << 53    // beyond this JSON numbers are no longer exact
	mostOpen  = 4 << 10    // four times what COURIER_MAX_CONCURRENT may be
	mostCap   = 64         // permits: four times what CLEVERTAP_MAX_CONCURRENT may be
	mostRate  = 10_000_000 // events a second
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
		if max(f.Delivered, f.Dead, f.Skipped, f.Erased) > mostCount || f.OpenCalls > mostOpen || max(f.Permits, f.PermitCap) > mostCap {
			return nil
		}
		if !possible(Figures{}, f, a.age()) {
			return nil
		}
	}
	return a
}

// possible tells whether a worker can have come so far in that time. What is
// erased it is told in bulk: of that there is no rate.
func possible(before, after Figures, passed time.Duration) bool {
	most := mostRate * (uint64(max(0, passed)/time.Second) + 1)
	for _, count := range [][2]uint64{{before.Delivered, after.Delivered}, {before.Dead, after.Dead}, {before.Skipped, after.Skipped}} {
		if count[1] > count[0] && count[1]-count[0] > most {
			return false
		}
	}
	return true
}
