package vips

import (
	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// normalise brings the picture to 8 or 16 bits a channel of RGB or grey, with alpha or without, or leaves it 8-bit CMYK. An
// embedded profile is applied at once where the pixels have to change anyway (floats, say); for the rest it waits until the
// picture is small, and so do inks, and the step from 16 bits to 8.
func (r *render) normalise() error {
	if err := r.dropBands(); err != nil {
		return malformed(err)
	}
	if profile, _ := r.image.GetICCProfile(); !transform.FrugalProfile(profile) {
		r.forgetProfile()
	}
	r.stayWide()
	space := r.image.Interpretation()
	switch {
	case r.image.BandFormat() == libvips.BandFormatUchar && (space == libvips.InterpretationSrgb ||
		space == libvips.InterpretationRgb || space == libvips.InterpretationBW || space == libvips.InterpretationCmyk):
		return nil
	case r.image.BandFormat() == libvips.BandFormatUshort && (space == libvips.InterpretationRgb16 ||
		space == libvips.InterpretationGrey16):
		return nil
	case space == libvips.InterpretationCmyk || r.image.HasICCProfile():
		if r.toSRGB(8) == nil {
			return nil
		}
		// A profile that cannot be used is as good as none.
		r.forgetProfile()
		r.p3 = false
	}
	return r.toEightBits()
}

// toEightBits makes the picture sRGB or grey of 8 bits a channel, taking its numbers for those of sRGB.
func (r *render) toEightBits() error {
	target := libvips.InterpretationSrgb
	if r.grey() {
		target = libvips.InterpretationBW
	}
	if r.deep() {
		// libvips would cut the lower eight bits off instead of rounding.
		if err := r.image.Linear([]float64{perByte}, []float64{0.5 + tie}, nil); err != nil {
			return malformed(err)
		}
		if err := r.image.Cast(libvips.BandFormatUchar, nil); err != nil {
			return malformed(err)
		}
		return r.name(target)
	}
	if err := r.image.Colourspace(target, nil); err != nil {
		return malformed(err)
	}
	if r.image.BandFormat() != libvips.BandFormatUchar {
		if err := r.image.Cast(libvips.BandFormatUchar, nil); err != nil {
			return malformed(err)
		}
	}
	return nil
}

// profile turns what the source calls red, green and blue into sRGB's, or Display P3's. It waits until here because the picture is small by
// now; the price is that the resize mixed colours on the source's tone curve instead of sRGB's.
func (r *render) profile() error {
	if r.hasIntents() {
		return r.perceptual()
	}
	depth := 8
	if r.deep() && r.toned() {
		depth = 16
	}
	if r.image.HasICCProfile() && r.toSRGB(depth) != nil {
		r.forgetProfile()
		r.p3 = false
	}
	if r.image.BandFormat() != libvips.BandFormatUchar && depth == 8 {
		return r.toEightBits()
	}
	return nil
}

// perByte is what one step of 16 bits is of one of 8.
const perByte = 1.0 / 257

// deep tells whether the picture has 16 bits a channel. Results have 8; rounding to them is left to the last step that computes
// colours anew, so that no step stretches what was rounded to visible bands.
func (r *render) deep() bool { return r.image.BandFormat() == libvips.BandFormatUshort }

// adoptDeep makes the picture's own 16-bit pixels, computed, the picture so far.
func (r *render) adoptDeep(pixels []byte) error {
	bands, space := r.image.Bands(), r.image.Interpretation()
	// The binding makes images of bytes only: two bands of bytes are read as one of 16 bits.
	if err := r.adopt(pixels, r.image.Width(), r.image.Height(), 2*bands); err != nil {
		return err
	}
	read, err := r.image.Copy(&libvips.CopyOptions{Format: libvips.BandFormatUshort, Bands: bands, Interpretation: space})
	if err != nil {
		return malformed(err)
	}
	r.replace(read)
	return nil
}

// name says what the picture's numbers mean, without changing them.
func (r *render) name(space libvips.Interpretation) error {
	named, err := r.image.Copy(&libvips.CopyOptions{Interpretation: space})
	if err != nil {
		return malformed(err)
	}
	r.replace(named)
	return nil
}

// toSRGB makes sRGB, or Display P3 of what stays wide. It applies the embedded profile, or one of common inks for CMYK without, by relative colorimetry with black point
// compensation: for the profiles that come here that is what the perceptual intent does too. Greys come back as greys. depth is 8 or 16 bits.
func (r *render) toSRGB(depth int) error {
	grey := r.grey()
	o := libvips.IccTransformOptions{Embedded: true, Intent: libvips.IntentRelative, BlackPointCompensation: true, Depth: depth}
	if r.image.Interpretation() == libvips.InterpretationCmyk {
		o.InputProfile = "cmyk"
	}
	if err := r.image.IccTransform(r.space(), &o); err != nil {
		return err
	}
	// From here on the attached profile says what is known.
	r.forgetProfile()
	switch {
	case grey && depth == 16:
		return r.image.Colourspace(libvips.InterpretationGrey16, nil)
	case grey:
		return r.image.Colourspace(libvips.InterpretationBW, nil)
	}
	return nil
}

func (r *render) forgetProfile() {
	if r.image.HasICCProfile() {
		_ = r.image.RemoveICCProfile() // fails only when there is none
	}
}

// grey tells whether the picture has brightness only.
func (r *render) grey() bool {
	switch r.image.Interpretation() {
	case libvips.InterpretationBW, libvips.InterpretationGrey16:
		return true
	case libvips.InterpretationMultiband, libvips.InterpretationMatrix, libvips.InterpretationHistogram:
		return r.image.Bands() < 3
	}
	return false
}

// dropBands takes off what is neither colour nor the first alpha, as some TIFFs have, and gives unnamed bands a meaning.
func (r *render) dropBands() error {
	colours := 3
	switch {
	case r.grey():
		colours = 1
	case r.image.Interpretation() == libvips.InterpretationCmyk:
		colours = 4
	}
	if r.image.Bands() > colours+1 {
		if err := r.image.ExtractBand(0, &libvips.ExtractBandOptions{N: colours + 1}); err != nil {
			return err
		}
	}
	if r.image.IsColorSpaceSupported() {
		return nil
	}
	space := libvips.InterpretationSrgb
	if colours == 1 {
		space = libvips.InterpretationBW
	}
	return r.name(space)
}
