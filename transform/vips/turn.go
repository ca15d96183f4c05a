package vips

import (
	libvips "github.com/cshum/vipsgen/vips816"
)

var angles = [4]libvips.Angle{libvips.AngleD0, libvips.AngleD90, libvips.AngleD180, libvips.AngleD270}

// turn lays the picture as plan.turn says.
func (r *render) turn() error {
	t := r.plan.turn
	if t.mirror {
		if err := r.image.Flip(libvips.DirectionHorizontal); err != nil {
			return malformed(err)
		}
	}
	if t.quarters == 0 {
		return nil
	}
	if err := r.settle(); err != nil {
		return err
	}
	if err := r.image.Rot(angles[t.quarters]); err != nil {
		return malformed(err)
	}
	return nil
}
