package transform

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"math"
	"sync"
	"unicode/utf16"
)

// matrix3 takes one set of three coordinates to another; rows of weights.
type matrix3 [3][3]float64

func (m matrix3) times(n matrix3) (product matrix3) {
	for i := range 3 {
		for j := range 3 {
			for k := range 3 {
				product[i][j] += m[i][k] * n[k][j]
			}
		}
	}
	return product
}

func (m matrix3) apply(v [3]float64) (out [3]float64) {
	for i := range 3 {
		out[i] = m[i][0]*v[0] + m[i][1]*v[1] + m[i][2]*v[2]
	}
	return out
}

// inverse is by cofactors. The matrix has one: those here are of primaries that span a triangle.
func (m matrix3) inverse() (out matrix3) {
	minor := func(i, j int) float64 {
		a, b, c, d := (i+1)%3, (i+2)%3, (j+1)%3, (j+2)%3
		return m[a][c]*m[b][d] - m[a][d]*m[b][c]
	}
	determinant := m[0][0]*minor(0, 0) + m[0][1]*minor(0, 1) + m[0][2]*minor(0, 2)
	for i := range 3 {
		for j := range 3 {
			out[j][i] = minor(i, j) / determinant
		}
	}
	return out
}

// Chromaticities x, y of red, green and blue, and of the white that they share.
var (
	primaries709 = [3][2]float64{{0.640, 0.330}, {0.300, 0.600}, {0.150, 0.060}} // ITU-R BT.709, and sRGB
	primariesP3  = [3][2]float64{{0.680, 0.320}, {0.265, 0.690}, {0.150, 0.060}} // SMPTE EG 432-1
	whiteD65     = [2]float64{0.3127, 0.3290}
)

// bradford takes XYZ to responses of cones, in which whites are exchanged (ICC.1:2022, annex E).
var bradford = matrix3{{0.8951, 0.2664, -0.1614}, {-0.7502, 1.7135, 0.0367}, {0.0389, -0.0685, 1.0296}}

// whiteD50 is the white of profiles (ICC.1:2022, 7.2.16).
var whiteD50 = [3]float64{0.9642, 1, 0.8249}

// adaptation takes XYZ as seen under D65 to what looks the same under D50.
func adaptation() matrix3 {
	from, to := bradford.apply(xyzOf(whiteD65)), bradford.apply(whiteD50)
	var scale matrix3
	for i := range 3 {
		scale[i][i] = to[i] / from[i]
	}
	return bradford.inverse().times(scale).times(bradford)
}

// xyzOf returns the XYZ of a chromaticity at full brightness.
func xyzOf(c [2]float64) [3]float64 { return [3]float64{c[0] / c[1], 1, (1 - c[0] - c[1]) / c[1]} }

// toD50 takes linear red, green and blue of a display with white D65 to XYZ under D50: the primaries are scaled so that
// together they make the white (SMPTE RP 177).
func toD50(primaries [3][2]float64) matrix3 {
	var columns matrix3
	for i, p := range primaries {
		for j, v := range xyzOf(p) {
			columns[j][i] = v
		}
	}
	scale := columns.inverse().apply(xyzOf(whiteD65))
	for i := range 3 {
		for j := range 3 {
			columns[j][i] *= scale[i]
		}
	}
	return adaptation().times(columns)
}

// The two gamuts, and the ways between them in linear light.
var (
	srgbToD50 = toD50(primaries709)
	d50ToSRGB = srgbToD50.inverse()
	p3ToD50   = toD50(primariesP3)
	srgbToP3  = p3ToD50.inverse().times(srgbToD50)
	p3ToSRGB  = d50ToSRGB.times(p3ToD50)
)

// DisplayP3 returns what an sRGB colour is in Display P3, which is larger and has the same tone curve.
func DisplayP3(r, g, b uint8) (red, green, blue uint8) { return recode(srgbToP3, r, g, b) }

func recode(m matrix3, r, g, b uint8) (red, green, blue uint8) {
	light := m.apply([3]float64{linear(r), linear(g), linear(b)})
	return encoded(light[0]), encoded(light[1]), encoded(light[2])
}

// isP3 tells whether a PNG that was rendered here is Display P3: no other results have a profile.
func isP3(file []byte) bool { return bytes.Contains(file, []byte("iCCP")) }

// fromP3 returns a copy of a Display P3 picture as sRGB; colours beyond that end at its bounds.
func fromP3(picture image.Image) image.Image {
	out := image.NewNRGBA(picture.Bounds())
	for y := out.Rect.Min.Y; y < out.Rect.Max.Y; y++ {
		for x := out.Rect.Min.X; x < out.Rect.Max.X; x++ {
			c := color.NRGBAModel.Convert(picture.At(x, y)).(color.NRGBA)
			c.R, c.G, c.B = recode(p3ToSRGB, c.R, c.G, c.B)
			out.SetNRGBA(x, y, c)
		}
	}
	return out
}

// The parts of a profile (ICC.1:2022, 7).
const (
	profileHead  = 128
	profileTag   = 12 // signature, offset, size
	maxTags      = 100
	tagsAt       = profileHead + 4
	xyzBytes     = 20
	outsideSRGB  = 0.05 // how far beyond sRGB a primary has to be; copies of sRGB differ in the fourth digit
	curveSRGB    = 3    // parametric curve of the kind that sRGB's is (table 68)
	fixedPointOf = 1 << 16
)

// WideGamut tells whether a profile is of a display or camera whose red, green or blue sRGB cannot show. Profiles of tables
// instead of primaries, and those that are broken, are not.
func WideGamut(profile []byte) bool {
	if len(profile) < tagsAt || string(profile[16:20]) != "RGB " || string(profile[36:40]) != "acsp" {
		return false
	}
	count := min(binary.BigEndian.Uint32(profile[profileHead:]), maxTags)
	found, outside := 0, false
	for tags := profile[tagsAt:]; count > 0 && len(tags) >= profileTag; count, tags = count-1, tags[profileTag:] {
		switch string(tags[:4]) {
		case "rXYZ", "gXYZ", "bXYZ":
		default:
			continue
		}
		at := uint64(binary.BigEndian.Uint32(tags[4:]))
		if at+xyzBytes > uint64(len(profile)) || string(profile[at:at+4]) != "XYZ " {
			return false
		}
		found++
		var xyz [3]float64
		for i := range xyz {
			xyz[i] = float64(int32(binary.BigEndian.Uint32(profile[at+8+uint64(4*i):]))) / fixedPointOf
		}
		for _, part := range d50ToSRGB.apply(xyz) {
			outside = outside || part < -outsideSRGB
		}
	}
	return found == 3 && outside
}

// DisplayP3Profile returns a profile of Display P3 by ICC.1:2022 (version 4.4): a display's, of a matrix and one tone curve,
// and no larger than that takes. The caller does not change it.
var DisplayP3Profile = sync.OnceValue(func() []byte {
	curve := fixedPoint([]byte("para\x00\x00\x00\x00\x00\x03\x00\x00"), 2.4, 1/1.055, 0.055/1.055, 1/12.92, 0.04045) // IEC 61966-2-1
	adapted := adaptation()
	tags := []struct {
		names string // four letters each
		body  []byte
	}{
		{"desc", localized("Display P3")},
		{"cprt", localized("CC0")},
		{"wtpt", fixedPoint([]byte("XYZ \x00\x00\x00\x00"), whiteD50[:]...)},
		{"chad", fixedPoint([]byte("sf32\x00\x00\x00\x00"), append(append(adapted[0][:], adapted[1][:]...), adapted[2][:]...)...)},
		{"rXYZ", columnOf(p3ToD50, 0)},
		{"gXYZ", columnOf(p3ToD50, 1)},
		{"bXYZ", columnOf(p3ToD50, 2)},
		{"rTRCgTRCbTRC", curve},
	}
	var table, body []byte
	count := 0
	for _, tag := range tags {
		count += len(tag.names) / 4
	}
	for _, tag := range tags {
		at := uint32(tagsAt + profileTag*count + len(body))
		for names := tag.names; names != ""; names = names[4:] {
			table = append(table, names[:4]...)
			table = binary.BigEndian.AppendUint32(table, at)
			table = binary.BigEndian.AppendUint32(table, uint32(len(tag.body)))
		}
		body = append(body, tag.body...)
		body = append(body, make([]byte, -len(body)&3)...)
	}
	profile := make([]byte, profileHead, tagsAt+len(table)+len(body))
	binary.BigEndian.PutUint32(profile, uint32(cap(profile)))
	binary.BigEndian.PutUint32(profile[8:], 0x04400000)
	copy(profile[12:], "mntrRGB XYZ ")
	for i, part := range [...]uint16{2026, 1, 1} { // when it was made: the same for every build
		binary.BigEndian.PutUint16(profile[24+2*i:], part)
	}
	copy(profile[36:], "acsp")
	copy(profile[68:], fixedPoint(nil, whiteD50[:]...)) // the illuminant
	profile = binary.BigEndian.AppendUint32(profile, uint32(count))
	return append(append(profile, table...), body...)
})

// columnOf returns a primary as an XYZ tag.
func columnOf(m matrix3, i int) []byte {
	return fixedPoint([]byte("XYZ \x00\x00\x00\x00"), m[0][i], m[1][i], m[2][i])
}

// fixedPoint appends numbers as s15Fixed16 (ICC.1:2022, 4.6).
func fixedPoint(to []byte, numbers ...float64) []byte {
	for _, n := range numbers {
		to = binary.BigEndian.AppendUint32(to, uint32(int32(math.Round(n*fixedPointOf))))
	}
	return to
}

// localized returns a text in English (multiLocalizedUnicodeType, 10.15).
func localized(text string) []byte {
	letters := utf16.Encode([]rune(text))
	tag := []byte("mluc\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0cenUS")
	tag = binary.BigEndian.AppendUint32(tag, uint32(2*len(letters)))
	tag = binary.BigEndian.AppendUint32(tag, 28)
	for _, letter := range letters {
		tag = binary.BigEndian.AppendUint16(tag, letter)
	}
	return tag
}
