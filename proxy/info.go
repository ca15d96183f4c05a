package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"deckle/cache"
	"deckle/origin"
	"deckle/transform"
)

// Want is what a URL asks to be told of a picture.
type Want uint8

// The answers. All but the picture itself are JSON.
const (
	WantPicture Want = iota
	WantInfo         // /{id}.json: facts about the source, and its placeholders
	WantThumbHash
	WantBlurHash
	WantColor
	WantFacts // info.json in path form: hash, dimensions and type
)

// placeholderNames are the values of the option placeholder, by want.
var placeholderNames = map[Want]string{WantThumbHash: "thumbhash", WantBlurHash: "blurhash", WantColor: "color"}

// infoExt is the extension, in any letter case, that asks for facts.
const infoExt = ".json"

// mediaJSON is the type of answers that are no pictures.
const mediaJSON = "application/json"

// setPlaceholder reads the option of that name.
func (r *Request) setPlaceholder(value string) error {
	for want, name := range placeholderNames {
		if name == strings.ToLower(value) {
			r.Want = want
			return nil
		}
	}
	return errors.New("it is thumbhash, blurhash or color")
}

// variant names the answer among those of its source, in the place of a Spec: where the answer is no picture, with what no
// Spec can say.
func (r Request) variant() string {
	spelled := r.Spec.String()
	switch {
	case r.Moving:
		return spelled + "#still"
	case r.Want == WantPicture:
		return spelled
	case r.Want == WantInfo:
		return infoExt
	case r.Want == WantFacts:
		return factsName
	case strings.Contains(spelled, "?"):
		return spelled + "&placeholder=" + placeholderNames[r.Want]
	}
	return spelled + "?placeholder=" + placeholderNames[r.Want]
}

// reduce gives a request for a placeholder the Spec that it is made from: sizes that differ in scale only have one answer.
func (r *Request) reduce() {
	if r.Want > WantInfo {
		r.Spec = r.Spec.Placeholder()
	}
}

// losesMotion tells whether the answer is one picture of what may be an animation, although that was not asked for.
func (r *Request) losesMotion() bool {
	return r.Want == WantPicture && r.Spec.Format == transform.AVIF && r.Spec.Page == 0
}

// rendering is the Spec that the engine is given for r.
func (r Request) rendering() transform.Spec {
	if r.Want == WantInfo {
		return r.Spec.Placeholder()
	}
	return r.Spec
}

// sourceInfo is what /{id}.json says.
type sourceInfo struct {
	Width       int             `json:"width"`  // pixels, as a viewer sees it
	Height      int             `json:"height"` // pixels, as a viewer sees it
	Format      string          `json:"format"`
	Frames      int             `json:"frames"`
	Orientation int             `json:"orientation"` // EXIF, 1-8
	HasAlpha    bool            `json:"has_alpha"`
	Bytes       int             `json:"bytes"`
	Version     string          `json:"version"`
	Placeholder placeholderInfo `json:"placeholder"`
}

// placeholderInfo is what stands in for a picture until it has come; an answer for one kind leaves out the others.
type placeholderInfo struct {
	ThumbHash string `json:"thumbhash,omitempty"`
	BlurHash  string `json:"blurhash,omitempty"`
	Color     string `json:"color,omitempty"`
}

// describe turns the small rendering of a source into the JSON that r asks for.
func (p *Proxy) describe(r Request, info origin.Info, source []byte, rendered *transform.Picture) (cache.Entry, error) {
	if r.Want == WantFacts {
		return p.factsOf(r.Source, source)
	}
	read, err := transform.ReadPlaceholder(rendered.Body)
	if err != nil {
		return cache.Entry{}, fmt.Errorf("describe %s: %w", r.Source, err)
	}
	entry := cache.Entry{ContentType: mediaJSON}
	switch r.Want {
	case WantThumbHash:
		entry.Body, err = json.Marshal(placeholderInfo{ThumbHash: read.ThumbHash})
	case WantBlurHash:
		entry.Body, err = json.Marshal(placeholderInfo{BlurHash: read.BlurHash})
	case WantColor:
		entry.Body, err = json.Marshal(placeholderInfo{Color: read.Color})
	default:
		var header transform.Header
		if header, err = p.Limits.ReadHeader(source); err != nil {
			return cache.Entry{}, err
		}
		entry.Width, entry.Height = header.Upright()
		entry.Body, err = json.Marshal(sourceInfo{
			Width: entry.Width, Height: entry.Height, Format: header.Format.String(), Frames: header.Frames,
			Orientation: header.Orientation, HasAlpha: header.Alpha, Bytes: len(source), Version: info.Version,
			Placeholder: placeholderInfo(read),
		})
	}
	return entry, err
}
