package proxy

import (
	"strconv"
	"strings"

	"deckle/transform"
)

// negotiate fixes the format of an .auto URL from the Accept header: AVIF, else WebP, else Auto, which stands for the
// source's own family. Only formats that the viewer names count: */* is sent by clients that show neither. Between two named
// formats the higher q-value wins, AVIF when they are equal (RFC 9110 section 12.5.1).
func negotiate(accept string, writes func(transform.Format) bool) transform.Format {
	best, bestQ := transform.Auto, 0.0
	for _, f := range []transform.Format{transform.AVIF, transform.WebP} {
		if q := acceptQ(accept, f.MediaType()); q > bestQ && writes(f) {
			best, bestQ = f, q
		}
	}
	return best
}

// acceptQ returns the weight that an Accept header gives a media type by its full name, 0 when it does not name it.
func acceptQ(accept, mediaType string) float64 {
	for element := range strings.SplitSeq(accept, ",") {
		name, parameters, _ := strings.Cut(element, ";")
		if !strings.EqualFold(strings.TrimSpace(name), mediaType) {
			continue
		}
		for parameter := range strings.SplitSeq(parameters, ";") {
			key, value, _ := strings.Cut(parameter, "=")
			if !strings.EqualFold(strings.TrimSpace(key), "q") {
				continue
			}
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return 0
			}
			return q
		}
		return 1
	}
	return 0
}
