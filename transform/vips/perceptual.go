package vips

// #cgo pkg-config: vips
// #include <vips/vips.h>
//
// // to_srgb makes 8-bit sRGB of pixels, by the perceptual intent of the profile (length 0: the one of common inks), or without
// // a profile where it cannot be used. The result is freed with g_free; NULL when there is none.
// static void *to_srgb(const void *pixels, size_t length, int width, int height, int bands, int format, int space,
//                      void *profile, size_t profile_length, size_t *result_length) {
//	VipsImage *raw = vips_image_new_from_memory(pixels, length, width, height, bands, format);
//	VipsImage *named = NULL, *rgb = NULL;
//	void *result = NULL;
//	if (raw && !vips_copy(raw, &named, "interpretation", space, NULL)) {
//		int done;
//		if (profile_length > 0) {
//			vips_image_set_blob_copy(named, VIPS_META_ICC_NAME, profile, profile_length);
//			done = !vips_icc_transform(named, &rgb, "srgb", "embedded", TRUE, "intent", VIPS_INTENT_PERCEPTUAL,
//				"black_point_compensation", TRUE, "depth", 8, NULL);
//		} else {
//			done = !vips_icc_transform(named, &rgb, "srgb", "input_profile", "cmyk", "intent", VIPS_INTENT_PERCEPTUAL,
//				"black_point_compensation", TRUE, "depth", 8, NULL);
//		}
//		if (done || !vips_colourspace(named, &rgb, VIPS_INTERPRETATION_sRGB, NULL)) {
//			result = vips_image_write_to_memory(rgb, result_length);
//		}
//	}
//	VIPS_UNREF(rgb);
//	VIPS_UNREF(named);
//	VIPS_UNREF(raw);
//	vips_error_clear();
//	return result;
// }
import "C"

import (
	"encoding/binary"
	"errors"
	"unsafe"

	libvips "github.com/cshum/vipsgen/vips816"
)

// perceptual brings the picture to 8-bit sRGB by the perceptual intent of its profile, or of one of common inks: what the
// source can show and sRGB cannot is drawn in together with what lies beside it, instead of each colour alone being cut off.
// The binding cannot ask for it, as it takes the intent's number, 0, for no choice. The picture is held in memory for it.
func (r *render) perceptual() error {
	profile, _ := r.image.GetICCProfile()
	pixels, err := r.image.WriteToMemory()
	if err != nil {
		return malformed(err)
	}
	width, height := r.image.Width(), r.image.Height()
	var length C.size_t
	var icc unsafe.Pointer
	if len(profile) > 0 {
		icc = unsafe.Pointer(&profile[0])
	}
	result := C.to_srgb(unsafe.Pointer(&pixels[0]), C.size_t(len(pixels)), C.int(width), C.int(height), C.int(r.image.Bands()),
		C.int(r.image.BandFormat()), C.int(r.image.Interpretation()), icc, C.size_t(len(profile)), &length)
	if result == nil {
		return malformed(errors.New("its colours cannot be made sRGB"))
	}
	defer C.g_free(C.gpointer(result))
	return r.adopt(C.GoBytes(result, C.int(length)), width, height, int(length)/(width*height))
}

// hasIntents tells whether intents differ: for inks, and for profiles that hold tables for the perceptual one (ICC.1:2022,
// 7.3 and 9.2.1). Profiles of three tone curves and a matrix, as cameras and displays have, know no more than one.
func (r *render) hasIntents() bool {
	switch r.image.Interpretation() {
	case libvips.InterpretationCmyk:
		return r.image.BandFormat() == libvips.BandFormatUchar
	case libvips.InterpretationSrgb, libvips.InterpretationRgb, libvips.InterpretationRgb16:
	default:
		return false
	}
	if r.p3 {
		return false
	}
	const head, entry = 132, 12
	profile, _ := r.image.GetICCProfile()
	if len(profile) < head {
		return false
	}
	tags := profile[head:]
	for count := binary.BigEndian.Uint32(profile[head-4:]); count > 0 && len(tags) >= entry; count-- {
		if string(tags[:4]) == "A2B0" {
			return true
		}
		tags = tags[entry:]
	}
	return false
}
