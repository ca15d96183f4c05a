package vips

// #cgo pkg-config: vips
// #include <string.h>
// #include <vips/vips.h>
//
// // read_rows computes the lines of a picture into memory on the calling thread, some at a time.
// static int read_rows(void *image, void *to) {
//	enum { AT_ONCE = 16 };
//	VipsImage *in = image;
//	size_t line = VIPS_IMAGE_SIZEOF_LINE(in);
//	VipsRegion *region = vips_region_new(in);
//	int failed = !region;
//	for (int top = 0; !failed && top < in->Ysize; top += AT_ONCE) {
//		VipsRect rows = {0, top, in->Xsize, VIPS_MIN(AT_ONCE, in->Ysize - top)};
//		failed = vips_region_prepare(region, &rows);
//		for (int y = top; !failed && y < top + rows.height; y++) {
//			memcpy((char *) to + line * y, VIPS_REGION_ADDR(region, 0, y), line);
//		}
//	}
//	VIPS_UNREF(region);
//	// What libvips keeps for a thread would stay until this one ends, and Go's threads stay.
//	vips_thread_shutdown();
//	return failed;
// }
import "C"

import (
	"errors"
	"reflect"
	"unsafe"

	libvips "github.com/cshum/vipsgen/vips816"
)

// readRows computes a picture of 8 bits a channel into to, which has room for exactly that. It does what libvips' own writing
// to memory does without its threads, buffers and copies, which cost more than a small picture's pixels.
func readRows(img *libvips.Image, to []byte) error {
	if len(to) == 0 || len(to) != img.Width()*img.Height()*img.Bands() || img.BandFormat() != libvips.BandFormatUchar {
		return errors.New("no room for just these pixels")
	}
	if C.read_rows(native(img), unsafe.Pointer(&to[0])) == 0 {
		return nil
	}
	err := errors.New(C.GoString(C.vips_error_buffer()))
	C.vips_error_clear()
	return malformed(err)
}

// native is the picture as libvips knows it, which the binding keeps to itself.
func native(img *libvips.Image) unsafe.Pointer {
	return reflect.ValueOf(img).Elem().FieldByName("image").UnsafePointer()
}
