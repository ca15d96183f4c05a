package transform

import (
	"errors"
	"strings"
)

// Watermark asks for a configured overlay on the finished picture. The zero value is none.
type Watermark struct {
	Name    string  // of the overlay, as IsOverlayName says; whether it is configured is for the engine to say
	Gravity Gravity // where, one of the nine points
	Scale   int     // the overlay's width as hundredths of the result's: 1 to 100
	Opacity int     // hundredths: 1 to 100
}

// What a watermark is unless the option says otherwise.
const (
	defaultMarkGravity = SouthEast
	defaultMarkScale   = 25
	defaultMarkOpacity = 100
)

// IsOverlayName tells whether a name can stand in a URL as an overlay's: 1 to 32 of a-z, 0-9, _ and -.
func IsOverlayName(name string) bool {
	return name != "" && len(name) <= 32 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

var errWatermark = errors.New("it is name[,gravity[,scale[,opacity]]]: an overlay's name, one of the nine points, and two numbers " +
	"from 0.01 to 1 and from 0 to 1 with at most two decimals, as in logo,southeast,0.25,0.8")

func parseWatermark(to *Watermark, value string) error {
	parts := strings.Split(value, ",")
	w := Watermark{Name: parts[0], Gravity: defaultMarkGravity, Scale: defaultMarkScale, Opacity: defaultMarkOpacity}
	if !IsOverlayName(w.Name) || len(parts) > 4 {
		return errWatermark
	}
	if len(parts) > 1 && parseName(&w.Gravity, gravityNames[:len(anchors)], parts[1]) != nil {
		return errWatermark
	}
	ok := true
	if len(parts) > 2 {
		w.Scale, ok = parseFixed(parts[2], 2)
	}
	if !ok || w.Scale < 1 || w.Scale > 100 {
		return errWatermark
	}
	if len(parts) > 3 {
		w.Opacity, ok = parseFixed(parts[3], 2)
	}
	if !ok || w.Opacity > 100 {
		return errWatermark
	}
	if w.Opacity == 0 {
		w = Watermark{} // nobody would see it
	}
	*to = w
	return nil
}

// String returns the watermark as the option spells it, without what is the default from there on; empty for none.
func (w Watermark) String() string {
	switch {
	case w == Watermark{}:
		return ""
	case w.Opacity != defaultMarkOpacity:
		return w.Name + "," + gravityNames[w.Gravity] + "," + fixed(w.Scale, 100) + "," + fixed(w.Opacity, 100)
	case w.Scale != defaultMarkScale:
		return w.Name + "," + gravityNames[w.Gravity] + "," + fixed(w.Scale, 100)
	case w.Gravity != defaultMarkGravity:
		return w.Name + "," + gravityNames[w.Gravity]
	}
	return w.Name
}
