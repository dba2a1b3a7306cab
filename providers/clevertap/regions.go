package clevertap

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// DefaultRegion is where an account lives that names no region.
const DefaultRegion = "eu"

// regions maps CleverTap's regions to their hosts.
//
// https://developer.clevertap.com/docs/common-api-components; eu1 is not in
// that table but is what CleverTap's own node SDK uses for Europe.
func regions() map[string]string {
	return map[string]string{
		"eu":   "https://api.clevertap.com",
		"eu1":  "https://eu1.api.clevertap.com",
		"in1":  "https://in1.api.clevertap.com",
		"sg1":  "https://sg1.api.clevertap.com",
		"us1":  "https://us1.api.clevertap.com",
		"aps3": "https://aps3.api.clevertap.com",
		"mec1": "https://mec1.api.clevertap.com",
	}
}

// Regions lists the regions, sorted.
func Regions() []string { return slices.Sorted(maps.Keys(regions())) }

// BaseURL is where a region is served; no region is DefaultRegion.
func BaseURL(region string) (string, error) {
	if region == "" {
		region = DefaultRegion
	}
	base, ok := regions()[region]
	if !ok {
		return "", fmt.Errorf("%q is no region of CleverTap; want one of %s", region, strings.Join(Regions(), ", "))
	}
	return base, nil
}
