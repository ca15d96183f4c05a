package vips

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"sync"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// profiled are the formats that carry a profile, so that a result can have more colours than sRGB.
var profiled = transform.NewFormatSet(
	transform.JPEG, transform.PNG, transform.WebP, transform.AVIF, transform.JXL, transform.HEIC, transform.TIFF,
)

// stayWide decides, where it was asked for, whether the result is Display P3: when the source's profile has colours that sRGB
// has not, and the result can say so. Frames of animations have no profile of their own, and greys need none.
func (r *render) stayWide() {
	if !r.wide || r.frames > 1 || r.spec.Gray || r.grey() || !profiled.Has(r.format) {
		return
	}
	profile, _ := r.image.GetICCProfile()
	r.p3 = transform.WideGamut(profile)
}

// space is libvips' name of what the result's numbers mean. Its Display P3 is the one that is attached.
func (r *render) space() string {
	if r.p3 {
		return "p3"
	}
	return "srgb"
}

// attach gives a Display P3 picture its profile, when nothing but the encoder follows: pixels that are held in memory lose it.
func (r *render) attach() error {
	if !r.p3 {
		return nil
	}
	r.forgetProfile()
	carrier, err := libvips.NewPngloadBuffer(profileCarrier(), nil)
	if err != nil {
		return malformed(err)
	}
	defer carrier.Close()
	if err := carrier.ExtractBand(0, nil); err != nil { // goes with any number
		return malformed(err)
	}
	// The binding has no call for it: a picture takes on what is said of another that is laid on it, here beyond its edge.
	return malformedOrNil(r.image.Insert(carrier, -1, -1, nil))
}

// profileCarrier is a picture of one pixel with the profile of Display P3 (PNG third edition, 11.3.2.3). It is kept for good,
// because what libvips makes of it is read when the result is encoded.
var profileCarrier = sync.OnceValue(func() []byte {
	var file, stream bytes.Buffer
	_ = png.Encode(&file, image.NewNRGBA(image.Rect(0, 0, 1, 1))) // a buffer takes everything, and so below
	deflater := zlib.NewWriter(&stream)
	_, _ = deflater.Write(transform.DisplayP3Profile())
	_ = deflater.Close()
	chunk := append([]byte("iCCPP3\x00\x00"), stream.Bytes()...)
	const head = 8 + 25 // the signature and IHDR
	out := append([]byte(nil), file.Bytes()[:head]...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(chunk)-4))
	out = append(out, chunk...)
	out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(chunk))
	return append(out, file.Bytes()[head:]...)
})
