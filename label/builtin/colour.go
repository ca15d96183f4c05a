package builtin

import "math"

// Palette is what colours are called: the eleven basic colour terms of English (Berlin and Kay, Basic Color Terms, 1969), each with
// colours that nobody would call otherwise. A colour has the name of the nearest of them in Oklab (bottosson.github.io/posts/oklab),
// where distances are about as great as they look. #RRGGBB, sRGB.
var Palette = []struct {
	Name    string
	Colours []uint32
}{
	{"black", []uint32{0x000000, 0x141414, 0x0a0a14, 0x140c0a}},
	{"grey", []uint32{0x404040, 0x606060, 0x808080, 0xa0a0a0, 0xc0c0c0, 0x708090, 0x8a8278}},
	{"white", []uint32{0xffffff, 0xf0f0f0, 0xfff8f0, 0xf4f8ff}},
	{"red", []uint32{0xff0000, 0xcc1020, 0xa01018, 0x700c10, 0xe04040}},
	{"orange", []uint32{0xff8000, 0xff6a10, 0xf0a030, 0xe08020, 0xffb060}},
	{"yellow", []uint32{0xffff00, 0xffe020, 0xe8d040, 0xfff080, 0xc8b020}},
	{"green", []uint32{0x00ff00, 0x008000, 0x20b040, 0x004010, 0x90e090, 0x607820, 0x708850, 0xa0d030, 0x2e5a3c, 0x30a080}},
	{"blue", []uint32{0x0000ff, 0x000080, 0x2060d0, 0x87ceeb, 0x4090e0, 0x102048, 0xa8c8f0, 0x00a0d0, 0x5070a0, 0x00e8f0}},
	{"purple", []uint32{0x800080, 0x6020a0, 0x9040c0, 0x400848, 0xb080d8, 0x7040e0}},
	{"pink", []uint32{0xffc0cb, 0xff69b4, 0xff1493, 0xf0a0b8, 0xe878a0, 0xff40ff}},
	{"brown", []uint32{0x8b4513, 0x5a3010, 0x3c2010, 0xa0662c, 0x6b4a30, 0xb08850, 0x7a6040}},
}

// named is Palette in Oklab.
var named = func() (all []struct {
	name string
	at   [3]float64
}) {
	for _, row := range Palette {
		for _, c := range row.Colours {
			all = append(all, struct {
				name string
				at   [3]float64
			}{row.Name, oklab(uint8(c>>16), uint8(c>>8), uint8(c))})
		}
	}
	return all
}()

// ColourName returns the name in Palette of an sRGB colour.
func ColourName(r, g, b uint8) string {
	at := oklab(r, g, b)
	name, nearest := "", math.Inf(1)
	for _, n := range named {
		dl, da, db := n.at[0]-at[0], n.at[1]-at[1], n.at[2]-at[2]
		// Lightness says less than hue of what a colour is called.
		if d := .5*dl*dl + da*da + db*db; d < nearest {
			name, nearest = n.name, d
		}
	}
	return name
}

// oklab converts by the matrices of Oklab's definition, as of 2021-01-25.
func oklab(r, g, b uint8) [3]float64 {
	lr, lg, lb := linear(r), linear(g), linear(b)
	l := math.Cbrt(.4122214708*lr + .5363325363*lg + .0514459929*lb)
	m := math.Cbrt(.2119034982*lr + .6806995451*lg + .1073969566*lb)
	s := math.Cbrt(.0883024619*lr + .2817188376*lg + .6299787005*lb)
	return [3]float64{
		.2104542553*l + .7936177850*m - .0040720468*s,
		1.9779984951*l - 2.4285922050*m + .4505937099*s,
		.0259040371*l + .7827717662*m - .8086757660*s,
	}
}

// linear undoes the transfer curve of sRGB (IEC 61966-2-1).
func linear(v uint8) float64 {
	c := float64(v) / 255
	if c <= .04045 {
		return c / 12.92
	}
	return math.Pow((c+.055)/1.055, 2.4)
}
