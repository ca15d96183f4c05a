package transform

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"strings"
	"testing"

	"deckle/internal/testimage"

	"github.com/google/go-cmp/cmp"
)

// everyInput has all optional formats switched on.
func everyInput() Limits {
	l := DefaultLimits()
	l.Inputs = NewFormatSet(OptionalInputs()...)
	return l
}

// checkOptional does what checkHeaders does for formats that are read only where they are switched on, and sees that they are
// not read elsewhere.
func checkOptional(t *testing.T, cases []headerCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := readHeader(c.data, everyInput().Inputs)
			if !errors.Is(err, c.fails) {
				t.Fatalf("error %v, want %v", err, c.fails)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if _, err := ReadHeader(c.data); !errors.Is(err, ErrUnsupported) {
				t.Errorf("without the switch: %v", err)
			}
			if _, err := DefaultLimits().ReadHeader(c.data); !errors.Is(err, ErrUnsupported) {
				t.Errorf("by the default limits: %v", err)
			}
		})
	}
}

func TestInputs(t *testing.T) {
	set, err := ParseInputs("svg, jxl")
	if err != nil || set != NewFormatSet(SVG, JXL) || set.Has(JP2) || !set.Has(SVG) {
		t.Errorf("%b, %v", set, err)
	}
	if set, err := ParseInputs(""); set != 0 || err != nil {
		t.Errorf("nothing: %b, %v", set, err)
	}
	for _, bad := range []string{"png", "pdf", "svg,,jxl", "raw"} {
		if _, err := ParseInputs(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	for name, why := range map[string]string{"pdf": "PDF decoder", "svg, raw": "libvips 8.18"} {
		if _, err := ParseInputs(name); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q", name, err, why)
		}
	}
}

// iconOf makes an ICO of pictures; each is preceded by its width, height and bits a pixel.
func iconOf(pictures ...iconPart) []byte {
	file := concat([]byte{0, 0, 1, 0}, le16(len(pictures)))
	offset := len(file) + 16*len(pictures)
	var bodies []byte
	for _, p := range pictures {
		file = concat(file, []byte{byte(p.w), byte(p.h), 0, 0}, le16(1), le16(p.bits), le32(len(p.body)), le32(offset+len(bodies)))
		bodies = concat(bodies, p.body)
	}
	return concat(file, bodies)
}

type iconPart struct {
	w, h, bits int
	body       []byte
}

// iconBMP makes a black bitmap of an icon without a mask.
func iconBMP(w, h, bits, compression int) []byte {
	palette := 0
	if bits <= 8 {
		palette = 4 << bits
	}
	rows := ((w*bits+31)/32*4 + (w+31)/32*4) * h
	return concat(le32(40), le32(w), le32(2*h), le16(1), le16(bits), le32(compression), make([]byte, 20+palette+rows))
}

func TestICO(t *testing.T) {
	alpha := func(h *Header) { h.Alpha = true }
	whole := iconOf(iconPart{16, 16, 32, iconBMP(16, 16, 32, 0)})
	checkHeaders(t, []headerCase{
		{name: "bitmap", data: whole, want: with(still(ICO, 16, 16), alpha)},
		{name: "png", data: iconOf(iconPart{0, 0, 32, madePNG(256, 256)}), want: still(ICO, 256, 256)},
		{name: "the largest of three", data: iconOf(iconPart{16, 16, 32, iconBMP(16, 16, 32, 0)}, iconPart{48, 48, 8, iconBMP(48, 48, 8, 0)}, iconPart{32, 32, 32, nil}), want: with(still(ICO, 48, 48), alpha)},
		{name: "the deeper of two", data: iconOf(iconPart{16, 16, 4, iconBMP(16, 16, 4, 0)}, iconPart{16, 16, 32, testimage.PNG(testimage.Alpha(16, 16))}), want: with(still(ICO, 16, 16), alpha)},
		{name: "no pictures", data: iconOf(), fails: ErrMalformed},
		{name: "too many", data: concat([]byte{0, 0, 1, 0}, le16(maxIcons+1), make([]byte, 16*300)), fails: ErrLimit},
		{name: "list cut off", data: whole[:20], fails: ErrMalformed},
		{name: "pixels cut off", data: whole[:len(whole)-100], fails: ErrMalformed},
		{name: "picture of fewer pixels than declared", data: iconOf(iconPart{16, 16, 24, iconBMP(16, 15, 24, 0)[:500]}), fails: ErrMalformed},
		{name: "picture of no kind", data: iconOf(iconPart{16, 16, 32, make([]byte, 2000)}), fails: ErrMalformed},
		{name: "compressed", data: iconOf(iconPart{16, 16, 8, iconBMP(16, 16, 8, 1)}), fails: ErrUnsupported},
		{name: "16 bits", data: iconOf(iconPart{16, 16, 16, iconBMP(16, 16, 16, 0)}), fails: ErrUnsupported},
		{name: "too wide for an icon", data: iconOf(iconPart{0, 0, 1, iconBMP(300, 10, 1, 0)}), fails: ErrMalformed},
		{name: "broken png", data: iconOf(iconPart{16, 16, 32, madePNG(16, 16)[:40]}), fails: ErrMalformed},
	})
}

// jp2Of makes a codestream of one component.
func jp2Of(w, h, tile int) []byte {
	siz := concat(be16(0), be32(w), be32(h), be32(0), be32(0), be32(tile), be32(tile), be32(0), be32(0), be16(1), []byte{7, 1, 1})
	return concat([]byte(jp2Codestream), be16(len(siz)+2), siz)
}

func jp2File(stream []byte) []byte {
	return concat([]byte(jp2Container), isoBox("ftyp", []byte("jp2 "), be32(0), []byte("jp2 ")), isoBox("jp2h", make([]byte, 9)), isoBox("jp2c", stream))
}

func TestJP2(t *testing.T) {
	edit := func(at int, b []byte) []byte {
		data := jp2Of(90, 50, 90)
		copy(data[at:], b)
		return data
	}
	checkOptional(t, []headerCase{
		{name: "codestream", data: jp2Of(90, 50, 90), want: still(JP2, 90, 50)},
		{name: "container", data: jp2File(jp2Of(90, 50, 90)), want: still(JP2, 90, 50)},
		{name: "container cut off", data: jp2File(concat(jp2Of(90, 50, 90), make([]byte, 99)))[:130], want: still(JP2, 90, 50)},
		{name: "off the grid's corner", data: edit(16, be32(40)), want: still(JP2, 50, 50)},
		{name: "huge", data: jp2Of(1<<30, 1<<30, 1<<30), fails: ErrLimit},
		{name: "many tiles", data: jp2Of(9000, 9000, 10), fails: ErrLimit},
		{name: "tiles of nothing", data: jp2Of(90, 50, 0), fails: ErrMalformed},
		{name: "no width", data: edit(16, be32(90)), fails: ErrMalformed},
		{name: "tiles beside the picture", data: edit(32, be32(1)), fails: ErrMalformed},
		{name: "many components", data: concat(edit(40, be16(9)), make([]byte, 24)), fails: ErrLimit},
		{name: "no components", data: edit(40, be16(0)), fails: ErrMalformed},
		{name: "deep", data: edit(42, []byte{31}), fails: ErrUnsupported},
		{name: "cut off", data: jp2Of(90, 50, 90)[:30], fails: ErrMalformed},
		{name: "no codestream", data: concat([]byte(jp2Container), isoBox("jp2h", make([]byte, 9))), fails: ErrMalformed},
	})
}

// jxlBits writes bits, the lowest of each byte first, after the codestream's signature. Each pair is a number and its bits.
func jxlBits(pairs ...int) []byte {
	var bits []byte
	for i := 0; i < len(pairs); i += 2 {
		for j := range pairs[i+1] {
			bits = append(bits, byte(pairs[i]>>j&1))
		}
	}
	data := make([]byte, (len(bits)+7)/8+4)
	for i, b := range bits {
		data[i/8] |= b << (i % 8)
	}
	return concat([]byte(jxlCodestream), data)
}

func TestJXL(t *testing.T) {
	alpha := func(h *Header) { h.Alpha = true }
	// Sides of 50 and 90: no multiples of eight, each led by two bits that say that nine follow; then all by default.
	plain := jxlBits(0, 1, 0, 2, 49, 9, 0, 3, 0, 2, 89, 9, 1, 1)
	box := func(parts ...[]byte) []byte {
		return concat([]byte(jxlContainer), isoBox("ftyp", []byte("jxl "), be32(0), []byte("jxl ")), concat(parts...))
	}
	sides := []int{0, 1, 0, 2, 49, 9, 0, 3, 0, 2, 89, 9}
	of := func(more ...int) []byte { return jxlBits(append(append([]int{}, sides...), more...)...) }
	checkOptional(t, []headerCase{
		{name: "codestream", data: plain, want: still(JXL, 90, 50)},
		{name: "container", data: box(isoBox("Exif", make([]byte, 20)), isoBox("jxlc", plain)), want: still(JXL, 90, 50)},
		{name: "container in parts", data: box(isoBox("jxlp", be32(0), plain)), want: still(JXL, 90, 50)},
		{name: "eighths and a ratio", data: jxlBits(1, 1, 4, 5, 5, 3, 1, 1), want: still(JXL, 71, 40)},
		{name: "widest", data: jxlBits(0, 1, 3, 2, 1<<30-1, 30, 0, 3, 0, 2, 89, 9, 1, 1), fails: ErrLimit},
		// Not all by default, more fields, orientation 6, nothing else; 8 bits; alpha as the one extra channel.
		{name: "on its side, with alpha", data: of(0, 1, 1, 1, 5, 3, 0, 3, 0, 1, 0, 2, 1, 1, 1, 2, 1, 1), want: with(still(JXL, 50, 90), alpha)},
		// An animation, floats, and a spot colour, which is no transparency.
		{name: "animated", data: of(0, 1, 1, 1, 0, 3, 0, 2, 1, 1, 0, 2, 0, 2, 0, 2, 0, 1, 1, 1, 0, 2, 7, 4, 1, 1, 1, 2, 0, 1, 2, 2, 0, 4), want: still(JXL, 90, 50)},
		{name: "cut off", data: plain[:4], fails: ErrMalformed},
		{name: "container without a picture", data: box(isoBox("Exif", make([]byte, 20))), fails: ErrMalformed},
		{name: "container with another picture", data: box(isoBox("jxlc", []byte("no"))), fails: ErrMalformed},
	})
}

func svgOf(attributes, body string) []byte {
	return []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" ` + attributes + `>` + body + `</svg>`)
}

func TestSVG(t *testing.T) {
	drawing := func(w, h int) Header { return with(still(SVG, w, h), func(h *Header) { h.Alpha = true }) }
	ok := func(name, attributes, body string, w, h int) headerCase {
		return headerCase{name: name, data: svgOf(attributes, body), want: drawing(w, h)}
	}
	bad := func(name, body string, fails error) headerCase {
		return headerCase{name: name, data: svgOf(`width="9" height="5"`, body), fails: fails}
	}
	nested := strings.Repeat("<g>", maxSVGDepth) + strings.Repeat("</g>", maxSVGDepth)
	laughs := `<rect id="a0"/>`
	for i := range 12 {
		laughs += fmt.Sprintf(`<g id="a%d">%s</g>`, i+1, strings.Repeat(fmt.Sprintf(`<use href="#a%d"/>`, i), 4))
	}
	checkOptional(t, []headerCase{
		ok("pixels", `width="90" height="50"`, "", 90, 50),
		ok("units", `width="25.4mm" height="1in"`, "", 96, 96),
		ok("view box", `viewBox="0 0 90.4 50"`, "<rect/>", 90, 50),
		ok("view box with commas, and per cent", `width="100%" height="100%" viewBox="-5,-5,90,50"`, "", 90, 50),
		ok("one side", `width="45" viewBox="0 0 90 50"`, "", 45, 25),
		ok("inert script", `width="9" height="5"`, "<script>alert(1)</script>", 9, 5),
		ok("references within", `width="9" height="5"`, `<linearGradient id="g"><stop/></linearGradient><rect fill="url(#g)"/><use href="#g"/>`, 9, 5),
		ok("style within", `width="9" height="5"`, `<style>.a{fill:url(#g)}</style><linearGradient id="g"><stop/></linearGradient>`, 9, 5),
		ok("link for a click", `width="9" height="5"`, `<a href="https://example.com/"><rect/></a>`, 9, 5),
		{name: "document type", data: concat([]byte(`<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd">`), svgOf(`width="9" height="5"`, "")), want: drawing(9, 5)},
		{name: "no size", data: svgOf("", ""), fails: ErrMalformed},
		{name: "size of nothing", data: svgOf(`width="0" height="5"`, ""), fails: ErrMalformed},
		{name: "huge", data: svgOf(`width="1e9" height="5"`, ""), fails: ErrLimit},
		{name: "endless", data: svgOf(`width="inf" height="nan"`, ""), fails: ErrMalformed},
		{name: "entities", data: concat([]byte(`<!DOCTYPE svg [<!ENTITY x "y">]>`), svgOf(`width="9" height="5"`, "&x;")), fails: ErrUnsupported},
		{name: "style sheet elsewhere", data: concat([]byte(`<?xml-stylesheet href="x"?>`), svgOf(`width="9" height="5"`, "")), fails: ErrUnsupported},
		{name: "within html", data: []byte(`<html><svg width="9" height="5"/></html>`), fails: ErrUnsupported},
		{name: "cut off", data: svgOf(`width="9" height="5"`, "<g>")[:80], fails: ErrMalformed},
		{name: "large", data: svgOf(`width="9" height="5"`, strings.Repeat(" ", maxSVGBytes)), fails: ErrLimit},
		bad("picture", `<image href="#a"/>`, ErrUnsupported),
		bad("filter's picture", `<filter><feImage/></filter>`, ErrUnsupported),
		bad("inclusion", `<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="#a"/>`, ErrUnsupported),
		bad("html", `<foreignObject/>`, ErrUnsupported),
		bad("reference to a file", `<use href="file:///etc/passwd#a"/>`, ErrUnsupported),
		bad("reference by its old name", `<use xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="x.svg#a"/>`, ErrUnsupported),
		bad("reference to data", `<use href="data:image/svg+xml,x"/>`, ErrUnsupported),
		bad("fill from elsewhere", `<rect fill="url(http://127.0.0.1:9/#a)"/>`, ErrUnsupported),
		bad("style from elsewhere", `<rect style="fill: URL( 'x.svg#a' )"/>`, ErrUnsupported),
		bad("style in disguise", `<rect style="fill:u\72l(x.svg#a)"/>`, ErrUnsupported),
		bad("style sheet that imports", `<style>@import "x.css";</style>`, ErrUnsupported),
		{name: "two drawings", data: []byte(`<svg width="9" height="5"/><svg width="9" height="5"/>`), fails: ErrMalformed},
		bad("deep", nested, ErrLimit),
		bad("many elements", strings.Repeat("<g/>", maxSVGElements), ErrLimit),
		bad("a billion laughs", laughs, ErrLimit),
		bad("a loop", `<g id="a"><use href="#a"/></g>`, ErrMalformed),
		bad("a marker at each of many points", `<marker id="m">`+strings.Repeat("<path/>", 50)+`</marker><path marker-mid="url(#m)" d="`+strings.Repeat("L 1 1", 2000)+`"/>`, ErrLimit),
		bad("another sort of XML", `&nbsp;`, ErrMalformed),
	})
}

func TestReadPage(t *testing.T) {
	plain := testimage.Flat(9, 5, color.NRGBA{A: 255})
	gif := testimage.GIF(plain, plain)
	h, err := ReadHeader(gif)
	if err != nil {
		t.Fatal(err)
	}
	if page, err := ReadPage(gif, h, 2); err != nil || page != h {
		t.Errorf("%+v, %v", page, err)
	}
	for _, n := range []int{0, 3, -1} {
		var wrong *SpecError
		if _, err := ReadPage(gif, h, n); !errors.As(err, &wrong) || wrong.Option != "page" || !strings.Contains(wrong.Hint, "2 pages") {
			t.Errorf("page %d: %v", n, err)
		}
	}
}

// FuzzOptionalHeader: whatever the bytes, a header within bounds or an error that callers know, and the same one twice.
func FuzzOptionalHeader(f *testing.F) {
	for _, data := range [][]byte{
		jp2Of(90, 50, 90), jp2File(jp2Of(90, 50, 90)), jxlBits(0, 1, 0, 2, 49, 9, 0, 3, 0, 2, 89, 9, 1, 1),
		svgOf(`width="9" height="5"`, `<g id="a"><use href="#b"/></g><rect id="b" style="fill:url(#c)"/>`),
		iconOf(iconPart{16, 16, 32, iconBMP(16, 16, 32, 0)}), iconOf(iconPart{16, 16, 32, madePNG(16, 16)}),
	} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		kept := bytes.Clone(data)
		h, err := readHeader(data, everyInput().Inputs)
		switch {
		case errors.Is(err, ErrUnsupported), errors.Is(err, ErrMalformed), errors.Is(err, ErrLimit):
		case err != nil:
			t.Errorf("an error that callers do not know: %v", err)
		case h.Width < 1 || h.Height < 1 || h.Width > maxHeaderSide || h.Height > maxHeaderSide || h.Frames < 1 || h.Pages < h.Frames:
			t.Errorf("%+v", h)
		}
		if again, errAgain := readHeader(data, everyInput().Inputs); again != h || (err == nil) != (errAgain == nil) {
			t.Errorf("%+v, then %+v", h, again)
		}
		if !bytes.Equal(kept, data) {
			t.Error("the source was changed")
		}
	})
}
