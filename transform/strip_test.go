package transform

import (
	"bytes"
	"slices"
	"testing"

	"deckle/internal/testimage"
)

func TestStrip(t *testing.T) {
	jpeg, png := madeJPEG(9, 5, 80), madePNG(9, 5)
	segment := func(marker byte, body ...[]byte) []byte {
		b := concat(body...)
		return concat([]byte{0xFF, marker}, be16(len(b)+2), b)
	}
	into := func(parts ...[]byte) []byte { return slices.Insert(bytes.Clone(jpeg), 2, concat(parts...)...) }
	gif := gifOf(9, 5, [4]int{0, 0, 9, 5}, [4]int{0, 0, 9, 5})
	loops := concat([]byte{gifExtension, 0xFF, 11}, []byte("NETSCAPE2.0"), []byte{3, 1, 0, 0, 0})
	comment := concat([]byte{gifExtension, 0xFE, 6}, []byte("secret"), []byte{0})
	gifWith := func(parts ...[]byte) []byte { return slices.Insert(bytes.Clone(gif), 13, concat(parts...)...) }
	plain := webpOf(vp8x(webpAlpha, 9, 5), vp8(9, 5))
	tests := []struct {
		name   string
		format Format
		data   []byte
		want   []byte // nil when it cannot be stripped
	}{
		{"jpeg", JPEG, jpeg, jpeg},
		{"jpeg with exif", JPEG, testimage.WithGPS(jpeg, 1), jpeg},
		{"jpeg with a comment and xmp", JPEG, into(segment(0xFE, []byte("secret")), segment(0xE1, []byte("http://ns.adobe.com/xap/1.0/\x00secret"))), jpeg},
		{"jpeg with more behind its end", JPEG, concat(jpeg, []byte("<script>secret")), jpeg},
		{"jpeg with fill bytes", JPEG, slices.Insert(bytes.Clone(jpeg), 2, 0xFF, 0xFF), jpeg},
		{"jpeg with a thumbnail and a resolution", JPEG, into(segment(0xE0, []byte("JFIF\x00\x01\x02\x01\x01\x2c\x01\x2c\x01\x01secret"))), into(segment(0xE0, []byte("JFIF\x00\x01\x02\x01\x00\x48\x00\x48\x00\x00")))},
		{"jpeg with adobe's colour transform", JPEG, into(segment(0xEE, []byte("Adobe\x00\x64\x00\x00\x00\x00\x01"))), into(segment(0xEE, []byte("Adobe\x00\x64\x00\x00\x00\x00\x01")))},
		{"jpeg with a profile", JPEG, into(segment(0xE2, []byte("ICC_PROFILE\x00\x01\x01acsp"))), nil},
		{"jpeg cut off", JPEG, jpeg[:len(jpeg)-2], nil},
		{"jpeg that ends in a segment", JPEG, jpeg[:10], nil},
		{"png", PNG, png, png},
		{"png with a text", PNG, withPNGChunk(png, "tEXt", []byte("k\x00secret")), png},
		{"png with a date and more behind its end", PNG, concat(withPNGChunk(png, "tIME", make([]byte, 7)), []byte("secret")), png},
		{"png with a gamma", PNG, withPNGChunk(png, "gAMA", be32(100000)), nil},
		{"png with a gamma that is sRGB's", PNG, withPNGChunk(withPNGChunk(png, "gAMA", be32(45455)), "sRGB", []byte{0}), png},
		{"png with a profile", PNG, withPNGChunk(png, "iCCP", []byte("k\x00\x00")), nil},
		{"png animated", PNG, withPNGChunk(png, "acTL", make([]byte, 8)), nil},
		{"png of 16 bits", PNG, pngOf(9, 5, 16, 2), nil},
		{"png cut off", PNG, png[:len(png)-12], nil},
		{"gif", GIF, gif, gif},
		{"gif that loops, with a comment", GIF, gifWith(loops, comment), gifWith(loops)},
		{"gif with a program's own data", GIF, gifWith([]byte{gifExtension, 0xFF, 11}, []byte("XMP DataXMP"), []byte{6}, []byte("secret"), []byte{0}), gif},
		{"gif with more behind its end", GIF, concat(gif, []byte("secret")), gif},
		{"gif cut off", GIF, gif[:len(gif)-1], nil},
		{"webp simple", WebP, webpOf(vp8(9, 5)), webpOf(vp8(9, 5))},
		{"webp with exif and xmp", WebP, webpOf(vp8x(webpAlpha|0x08|0x04, 9, 5), vp8(9, 5), webpChunk("EXIF", []byte("secret")), webpChunk("XMP ", []byte("secret"))), plain},
		{"webp with an unknown chunk", WebP, webpOf(vp8x(webpAlpha, 9, 5), vp8(9, 5), webpChunk("junk", []byte("secret"))), plain},
		{"webp with more behind its end", WebP, concat(plain, []byte("secret")), plain},
		{"webp with a profile", WebP, webpOf(vp8x(0x20, 9, 5), webpChunk("ICCP", []byte("acsp")), vp8(9, 5)), nil},
		{"webp cut off", WebP, plain[:len(plain)-4], nil},
		{"bmp", BMP, bmpOf(9, 5, 24, 0), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := Strip(tt.data, tt.format)
			if ok != (tt.want != nil) || ok && !bytes.Equal(got, tt.want) {
				t.Fatalf("%v, %q; want %q", ok, got, tt.want)
			}
			if !ok {
				return
			}
			if again, ok := Strip(got, tt.format); !ok || !bytes.Equal(again, got) {
				t.Error("stripping twice differs from once")
			}
		})
	}
}

// FuzzStrip: what is stripped has the picture that it had, is no larger, and is stripped.
func FuzzStrip(f *testing.F) {
	for _, c := range goodFiles() {
		f.Add(c.data)
	}
	f.Add(testimage.WithGPS(madeJPEG(20, 10, 60), 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := ReadHeader(data)
		if err != nil {
			return
		}
		got, ok := Strip(data, h.Format)
		if !ok {
			return
		}
		if len(got) > len(data) {
			t.Errorf("%d bytes of %d", len(got), len(data))
		}
		after, err := ReadHeader(got)
		h.Orientation, after.Orientation = 1, 1
		if err != nil || after != h {
			t.Errorf("%+v became %+v, %v", h, after, err)
		}
		if again, ok := Strip(got, h.Format); !ok || !bytes.Equal(again, got) {
			t.Error("stripping twice differs from once")
		}
	})
}
