package transform

import (
	"bytes"
	"testing"
)

func TestFirstFrame(t *testing.T) {
	canvas, loops, profile := vp8x(webpAnimated, 8, 6), webpChunk("ANIM", make([]byte, 6)), webpChunk("ICCP", []byte{1, 2, 3})
	first, second := anmf(0, 0, 8, 6, vp8l(8, 6, false)), anmf(2, 2, 4, 4, vp8(4, 4))
	still := webpOf(vp8l(8, 6, false))
	cut := webpOf(canvas, loops, first, second)
	cut = cut[:len(cut)-len(first)-len(second)+12]
	for name, c := range map[string]struct {
		data, want []byte
		frames     int
	}{
		"what is before the first frame stays":    {webpOf(canvas, profile, loops, first, second), webpOf(canvas, profile, loops, first), 2},
		"metadata behind the frames goes":         {webpOf(canvas, loops, first, second, webpChunk("XMP ", []byte("x"))), webpOf(canvas, loops, first), 2},
		"a still picture stays":                   {still, still, 1},
		"one frame stays":                         {webpOf(canvas, loops, first), webpOf(canvas, loops, first), 1},
		"what ends within the first frame stays":  {cut, cut, 2},
		"an animation of another format as it is": {gifOf(4, 4, [4]int{0, 0, 4, 4}, [4]int{0, 0, 4, 4}), gifOf(4, 4, [4]int{0, 0, 4, 4}, [4]int{0, 0, 4, 4}), 2},
	} {
		before := bytes.Clone(c.data)
		h := Header{Format: WebP, Frames: c.frames}
		if c.data[0] == 'G' {
			h.Format = GIF
		}
		got := FirstFrame(c.data, h)
		if !bytes.Equal(got, c.want) {
			t.Errorf("%s:\n%x\nwant\n%x", name, got, c.want)
		}
		if !bytes.Equal(c.data, before) {
			t.Errorf("%s: the source was written to", name)
		}
	}
}
