package transform

import (
	"errors"
	"fmt"
	"strconv"
)

// The bounds of a sharpening's sigma, hundredths of a pixel: below, as for blur, nothing would change; what is wider than ten
// pixels is no longer an edge.
const (
	minSharpen = 30
	maxSharpen = 10_00
)

func parseSharpen(to *int, value string) error {
	if value == "false" || value == "0" {
		*to = 0
		return nil
	}
	sigma, ok := parseFixed(value, 2)
	if !ok || sigma < minSharpen || sigma > maxSharpen {
		return errors.New("it is false or a sigma from 0.3 to 10 with at most two decimals")
	}
	*to = sigma
	return nil
}

// parsePercent reads 0 to 200 as the difference from 100.
func parsePercent(to *int, value string) error {
	n, ok := parseDigits(value, 3)
	if !ok || n > 200 {
		return errors.New("it is a whole number from 0 to 200; 100 changes nothing")
	}
	*to = n - 100
	return nil
}

func printPercent(difference int) string {
	if difference == 0 {
		return ""
	}
	return strconv.Itoa(100 + difference)
}

// The bounds of max_bytes. Hardly any picture fits fewer; more than the limits let a result have is no bound.
const (
	minMaxBytes = 100
	maxMaxBytes = 100_000_000
)

func parseMaxBytes(to *int, value string) error {
	n, ok := parseDigits(value, 9)
	if !ok || n < minMaxBytes || n > maxMaxBytes {
		return fmt.Errorf("it is a whole number of bytes from %d to %d", minMaxBytes, maxMaxBytes)
	}
	*to = n
	return nil
}

func parseTrim(to *Trim, value string) error {
	n, ok := parseDigits(value, 3)
	if !ok || n > 255 {
		return errors.New("it is a whole number from 0 to 255: how far a border may be from the colour of the top left pixel")
	}
	*to = Trim{Set: true, Threshold: uint8(n)}
	return nil
}

// String returns the threshold as the option spells it; empty for none.
func (t Trim) String() string {
	if !t.Set {
		return ""
	}
	return strconv.Itoa(int(t.Threshold))
}
