package transform

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The spellings of option values: each parse function takes lower-case text and answers with a hint when it cannot read it;
// each print function gives the one canonical spelling, empty for the default.

func parseName[T ~uint8](to *T, names []string, value string) error {
	for i, name := range names {
		if name == value {
			*to = T(i)
			return nil
		}
	}
	return fmt.Errorf("did you mean %s? it is one of %s", nearest(value, names), strings.Join(names, ", "))
}

func printName(i int, names []string) string {
	if i == 0 {
		return ""
	}
	return names[i]
}

func parseSwitch(to *bool, value string) error {
	switch value {
	case "true", "false":
		*to = value == "true"
		return nil
	}
	return errors.New("it is true or false")
}

func printSwitch(on bool) string {
	if on {
		return "true"
	}
	return ""
}

func printNumber(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func parseRotate(to *int, value string) error {
	switch value {
	case "0", "90", "180", "270":
		*to, _ = strconv.Atoi(value)
		return nil
	}
	return errors.New("it is 0, 90, 180 or 270")
}

func parseQuality(to *int, value string) error {
	if value == "auto" {
		*to = 0
		return nil
	}
	n, ok := parseDigits(value, 3)
	if !ok || n < 1 || n > 100 {
		return errors.New("it is auto or a whole number from 1 to 100")
	}
	*to = n
	return nil
}

// The bounds of a blur's sigma, hundredths of a pixel. Below 0.3 a Gaussian's neighbours weigh less than 1/256, so that
// nothing would change; above 100 the cost grows without a visible difference.
const (
	minBlur     = 30
	maxBlur     = 100_00
	defaultBlur = 7_00
)

func parseBlur(to *int, value string) error {
	switch value {
	case "false", "0":
		*to = 0
		return nil
	case "true":
		*to = defaultBlur
		return nil
	}
	sigma, ok := parseFixed(value, 2)
	if !ok || sigma < minBlur || sigma > maxBlur {
		return errors.New("it is true, false or a sigma from 0.3 to 100 with at most two decimals")
	}
	*to = sigma
	return nil
}

// maxPage bounds the number of a page in a URL; no source has as many.
const maxPage = 9999

func parsePage(to *int, value string) error {
	n, ok := parseDigits(value, 4)
	if !ok || n < 1 {
		return errors.New("it is the number of a frame or page; the first is 1")
	}
	*to = n
	return nil
}

func parseAnimate(to *bool, value string) error {
	switch value {
	case "auto", "false":
		*to = value == "false"
		return nil
	}
	return errors.New("it is auto or false")
}

func printStill(still bool) string {
	if still {
		return "false"
	}
	return ""
}

const millionths = 1_000_000

// maxPixels bounds a number of pixels in a URL, so that sums of two stay far from overflow.
const maxPixels = 999_999

var errCrop = errors.New("it is x,y,w,h in pixels, or x0:y0:x1:y1 as fractions from 0 to 1 with x0 < x1 and y0 < y1")

func parseCrop(to *Crop, value string) error {
	if strings.Contains(value, ":") {
		return parseCropFractions(to, strings.Split(value, ":"))
	}
	parts := strings.Split(value, ",")
	if len(parts) != 4 {
		return errCrop
	}
	var n [4]int
	for i, part := range parts {
		var ok bool
		if n[i], ok = parseDigits(part, 6); !ok || n[i] > maxPixels {
			return errCrop
		}
	}
	if n[2] == 0 || n[3] == 0 {
		return errCrop
	}
	*to = Crop{X: n[0], Y: n[1], W: n[2], H: n[3]}
	return nil
}

func parseCropFractions(to *Crop, parts []string) error {
	if len(parts) != 4 {
		return errCrop
	}
	var n [4]int
	for i, part := range parts {
		var ok bool
		if n[i], ok = parseFixed(part, 6); !ok || n[i] > millionths {
			return errCrop
		}
	}
	if n[0] >= n[2] || n[1] >= n[3] {
		return errCrop
	}
	*to = Crop{Fraction: true, X: n[0], Y: n[1], W: n[2] - n[0], H: n[3] - n[1]}
	return nil
}

// String returns the crop as the option spells it; empty for none.
func (c Crop) String() string {
	switch {
	case c == Crop{}:
		return ""
	case c.Fraction:
		f := func(n int) string { return fixed(n, millionths) }
		return f(c.X) + ":" + f(c.Y) + ":" + f(c.X+c.W) + ":" + f(c.Y+c.H)
	}
	return fmt.Sprintf("%d,%d,%d,%d", c.X, c.Y, c.W, c.H)
}

func parseBackground(to *Background, value string) error {
	switch value {
	case "white":
		*to = Background{Set: true, R: 255, G: 255, B: 255, A: 255}
		return nil
	case "transparent":
		*to = Background{Set: true}
		return nil
	case "blur":
		*to = Background{Blur: true}
		return nil
	}
	value = strings.TrimPrefix(value, "#")
	if len(value) == 3 {
		value = string([]byte{value[0], value[0], value[1], value[1], value[2], value[2]})
	}
	if len(value) == 6 {
		value += "ff"
	}
	rgba, err := hex.DecodeString(value)
	if err != nil || len(rgba) != 4 {
		return errors.New("it is white, transparent, blur, or a colour as rgb, rrggbb or rrggbbaa in hex")
	}
	*to = Background{Set: true, R: rgba[0], G: rgba[1], B: rgba[2], A: rgba[3]}
	if to.A == 0 {
		*to = Background{Set: true}
	}
	return nil
}

// String returns the colour as the option spells it; empty when unset.
func (b Background) String() string {
	switch {
	case b.Blur:
		return "blur"
	case !b.Set:
		return ""
	case b.A == 0:
		return "transparent"
	case b.A == 255:
		return hex.EncodeToString([]byte{b.R, b.G, b.B})
	}
	return hex.EncodeToString([]byte{b.R, b.G, b.B, b.A})
}

// parseDigits reads a whole number of at most most digits; no sign, no leading zero but 0 itself.
func parseDigits(s string, most int) (int, bool) {
	if s == "" || len(s) > most || (s[0] == '0' && len(s) > 1) {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// parseFixed reads a decimal number with at most the given decimals and returns it times ten to that power.
func parseFixed(s string, decimals int) (int, bool) {
	whole, part, dotted := strings.Cut(s, ".")
	n, ok := parseDigits(whole, 6)
	if !ok || (dotted && part == "") || len(part) > decimals {
		return 0, false
	}
	for i := range decimals {
		n *= 10
		if i < len(part) {
			if part[i] < '0' || part[i] > '9' {
				return 0, false
			}
			n += int(part[i] - '0')
		}
	}
	return n, true
}

// printFixed prints n/unit as a decimal, empty for 0.
func printFixed(n, unit int) string {
	if n == 0 {
		return ""
	}
	return fixed(n, unit)
}

// fixed prints n/unit as a decimal without trailing zeros; unit is a power of ten.
func fixed(n, unit int) string {
	whole := strconv.Itoa(n / unit)
	if n%unit == 0 {
		return whole
	}
	digits := strconv.Itoa(unit + n%unit)[1:]
	return whole + "." + strings.TrimRight(digits, "0")
}
