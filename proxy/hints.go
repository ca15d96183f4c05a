package proxy

import (
	"bytes"
	"strconv"
	"strings"

	"deckle/transform"

	"github.com/valyala/fasthttp"
)

// Client hints choose what an .auto URL leaves open: the width where it names no size, the device's pixel ratio where it names
// a size without one, the quality where it names none. Every value is snapped to a step of a ladder, so that they make few
// variants.

// acceptCH asks for the hints (RFC 8942); the two older names are for browsers that know only those. Save-Data comes unasked.
const acceptCH = "Sec-CH-DPR, Sec-CH-Width, DPR, Width"

// hintedWidths are the sides that a width is snapped to where no ladder is configured, device pixels.
var hintedWidths = Ladder{160, 240, 320, 480, 640, 828, 1080, 1280, 1600, 1920, 2560, 3840}

// hintedRatios are the device pixel ratios that there are, hundredths.
var hintedRatios = Ladder{100, 150, 200, 300}

// savedQuality is the quality for viewers who ask to save data.
const savedQuality = 45

// open says which hints apply to a request.
type open struct{ width, ratio, quality bool }

func (p *Proxy) open(r *Request) open {
	if !p.ClientHints || r.Spec.Format != transform.Auto {
		return open{}
	}
	sized := r.Spec.Width != 0 || r.Spec.Height != 0
	return open{
		width:   !sized && !p.PresetsOnly,
		ratio:   r.Sized && !r.Dense,
		quality: r.Spec.Quality == 0 && !r.Spec.Lossless && r.Spec.MaxBytes == 0,
	}
}

// vary names the request headers that the answer depends on.
func (p *Proxy) vary(r *Request) string {
	if !r.negotiates() || r.Want != WantPicture {
		return ""
	}
	o := p.open(r)
	names := fasthttp.HeaderAccept
	if o.width {
		names += ", Sec-CH-Width, Width"
	}
	if o.ratio {
		names += ", Sec-CH-DPR, DPR"
	}
	if o.quality {
		names += ", Save-Data"
	}
	return names
}

// hint applies the viewer's hints to r and tells whether they changed it.
func (p *Proxy) hint(ctx *fasthttp.RequestCtx, r *Request) bool {
	o := p.open(r)
	if o == (open{}) {
		return false
	}
	request, response := &ctx.Request.Header, &ctx.Response.Header
	response.Set("Accept-CH", acceptCH)
	before := r.Spec
	saves := o.quality && strings.EqualFold(string(bytes.Trim(request.Peek("Save-Data"), " \t")), "on")
	if saves {
		r.Spec.Quality = savedQuality
	}
	if o.width {
		if width, ok := hinted(request, 1, "Sec-CH-Width", "Width"); ok {
			ladder := hintedWidths
			if len(p.Sizes) > 0 {
				ladder = p.Sizes
			}
			r.Spec.Width = min(ladder.rung(width), p.Limits.OutputSide)
		}
	}
	if o.ratio && !saves {
		p.hintRatio(request, response, r)
	}
	return r.Spec != before
}

// hintRatio multiplies the size by the device's pixel ratio and says so, as a size in CSS pixels needs (Content-DPR).
func (p *Proxy) hintRatio(request *fasthttp.RequestHeader, response *fasthttp.ResponseHeader, r *Request) {
	ratio, ok := hinted(request, 100, "Sec-CH-DPR", "DPR")
	if !ok {
		return
	}
	ratio = hintedRatios.rung(ratio)
	dense := *r
	dense.Spec.Width, dense.Spec.Height = r.Spec.Width*ratio/100, r.Spec.Height*ratio/100
	bounded, changed := p.bound(dense)
	r.Spec = bounded
	if !changed { // otherwise the ratio is no longer that one
		response.Set("Content-DPR", strconv.FormatFloat(float64(ratio)/100, 'f', -1, 64))
	}
}

// hinted reads the first of the named hints that holds a number above zero, in units of 1/scale and rounded up.
func hinted(h *fasthttp.RequestHeader, scale int, names ...string) (int, bool) {
	for _, name := range names {
		text := string(bytes.Trim(h.Peek(name), " \t"))
		if text == "" || len(text) > 10 || strings.Trim(text, "0123456789.") != "" {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || !(value > 0) {
			continue
		}
		whole := int(min(value*float64(scale)+0.999999, 1<<30))
		return max(1, whole), true
	}
	return 0, false
}
