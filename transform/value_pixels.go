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
	*to = byteRung(n)
	return nil
}

// byteRungs are the bounds that are told apart in each power of ten: what people write, and steps of at most an eighth between.
var byteRungs = [...]int{
	10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 25, 28, 30, 32, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 90,
}

// byteRung returns the largest rung that is no more than n, which is at least 10: a bound that is kept keeps n too. Without it
// every number would be a variant of its own; with it there are 157.
func byteRung(n int) int {
	power := 1
	for n/power >= 100 {
		power *= 10
	}
	rung := byteRungs[0]
	for _, r := range byteRungs {
		if r <= n/power {
			rung = r
		}
	}
	return rung * power
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
