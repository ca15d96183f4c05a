package transform

import (
	"errors"
	"strings"
	"testing"
)

func TestParseVariant(t *testing.T) {
	crop := func(x0, y0, x1, y1 int) Crop {
		return Crop{Fraction: true, X: x0 * 1000, Y: y0 * 1000, W: (x1 - x0) * 1000, H: (y1 - y0) * 1000}
	}
	tests := []struct {
		name string
		want Spec
		same string // the name that it has; empty for the same one
	}{
		{"300x200.jpg", Spec{Format: JPEG, Width: 300, Height: 200, Fit: FitCrop}, ""},
		{"300x300.jpg", Spec{Format: JPEG, Width: 300, Height: 300, Fit: FitCrop}, "x300.jpg"},
		{"x200.webp", Spec{Format: WebP, Width: 200, Height: 200, Fit: FitCrop}, ""},
		{"w200-q70.webp", Spec{Format: WebP, Width: 200, Quality: 70}, ""},
		{"w0200-q070.JPEG", Spec{Format: JPEG, Width: 200, Quality: 70}, "w200-q70.jpg"},
		{"full_size.jpg", Spec{Format: JPEG}, ""},
		{"full_size-q1.avif", Spec{Format: AVIF, Quality: 1}, ""},
		{"x200", Spec{Format: JPEG, Width: 200, Height: 200, Fit: FitCrop}, "x200.jpg"},
		{"full_size-q30", Spec{Format: JPEG, Quality: 30}, "full_size-q30.jpg"},
		{"x200-q0.gif", Spec{Format: GIF, Width: 200, Height: 200, Fit: FitCrop}, "x200.gif"},
		{"x200-q500.jpg", Spec{Format: JPEG, Width: 200, Height: 200, Fit: FitCrop, Quality: 100}, "x200-q100.jpg"},
		{"x200-q90.png", Spec{Format: PNG, Width: 200, Height: 200, Fit: FitCrop}, "x200.png"},
		{"100x0.jpg", Spec{Format: JPEG, Width: 100}, "w100.jpg"},
		{"0x100.jpg", Spec{Format: JPEG}, "full_size.jpg"},
		{"0x0.jpg", Spec{Format: JPEG}, "full_size.jpg"},
		{"x0.jpg", Spec{Format: JPEG}, "full_size.jpg"},
		{"w0.jpg", Spec{Format: JPEG}, "full_size.jpg"},
		{"c0.050_0.640_0.390_0.920.jpg", Spec{Format: JPEG, Crop: crop(50, 640, 390, 920)}, ""},
		{"c0.000_0.000_1.000_0.500-w300-q80.webp", Spec{Format: WebP, Width: 300, Quality: 80, Crop: crop(0, 0, 1000, 500)}, ""},
		{"c0.000_0.000_1.000_1.000-q80.webp", Spec{Format: WebP, Quality: 80}, "full_size-q80.webp"},
		{"c0.001_0.002_0.003_0.004-w99999.jpg", Spec{Format: JPEG, Width: 99999, Crop: crop(1, 2, 3, 4)}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseVariant(test.name)
			if err == nil {
				got, err = ParseQuery(got, "", nil)
			}
			if err != nil || got != test.want {
				t.Fatalf("%+v, %v; want %+v", got, err, test.want)
			}
			if test.same == "" {
				test.same = test.name
			}
			if name, ok := got.Variant(); !ok || name != test.same {
				t.Errorf("its name is %q, %v; want %q", name, ok, test.same)
			}
		})
	}
}

func TestParseVariantRefuses(t *testing.T) {
	for _, name := range []string{
		"", ".", ".jpg", "x.jpg", "w.jpg", "200.jpg", "q50.jpg", "-q50.jpg", "x200-q.jpg", "x200-qx.jpg", "x200-q-1.jpg", "200x.jpg",
		"x-200.jpg", "x+200.jpg", "w200x200.jpg", "w200x.jpg", "200x200x200.jpg", "x100000.jpg", "200xx200.jpg", "Full_size.jpg",
		"full_size-w20.jpg", "original", "cat.jpg", "cat_dog.jpg", "cover.png", "c1_2.jpg", "cat_dog_x_y.jpg", "c_a_b_c.jpg", "x200 .jpg",
		"X200.jpg", "200X200.jpg", "x٢٠٠.jpg",
	} {
		if got, err := ParseVariant(name); !errors.Is(err, ErrNoVariant) {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
	for name, option := range map[string]string{
		"x200.zzz": "extension", "full_size.": "extension", "x200.jpg.exe": "",
		"c0.050_0.640_0.390_0.920":                "crop", // no extension
		"c0.05_0.640_0.390_0.920.jpg":             "crop",
		"c0.050_0.640_0.390_1.001.jpg":            "crop",
		"c0.390_0.640_0.390_0.920.jpg":            "crop",
		"c0.500_0.640_0.390_0.920.jpg":            "crop",
		"c0.050_0.940_0.390_0.920.jpg":            "crop",
		"c-0.10_0.640_0.390_0.920.jpg":            "crop",
		"c+0.10_0.640_0.390_0.920.jpg":            "crop",
		"c.050_0.640_0.390_0.920.jpg":             "crop",
		"c0.050_0.640_0.390_0.920-w0.jpg":         "crop",
		"c0.050_0.640_0.390_0.920-w010.jpg":       "crop",
		"c0.050_0.640_0.390_0.920-q101.jpg":       "crop",
		"c0.050_0.640_0.390_0.920-q09.jpg":        "crop",
		"c0.050_0.640_0.390_0.920-q9-w9.jpg":      "crop",
		"c0.050_0.640_0.390_0.920-.jpg":           "crop",
		"c0.050_0.640_0.390_0.920-w100000.jpg":    "crop",
		"c0.050_0.640_0.390_0.920-w1.zzz":         "extension",
		"c1_2_3_4.jpg":                            "crop",
		"c1_" + strings.Repeat("9", 500) + "_3_4": "crop",
	} {
		_, err := ParseVariant(name)
		var spec *SpecError
		switch {
		case option == "" && errors.Is(err, ErrNoVariant):
		case !errors.As(err, &spec) || spec.Option != option || len(spec.Value) > 100:
			t.Errorf("%.60q: %v, want a fault of the %s", name, err, option)
		}
	}
}

// TestVariantHasNoName: what the path form cannot say has no name in it.
func TestVariantHasNoName(t *testing.T) {
	for _, spelling := range []string{
		"", "_300_200.jpg", "_0_200.jpg", "_300_200.jpg?fit=crop&gravity=north", "_300_0.jpg?enlarge=true", "_300_200.jpg?fit=canvas",
		".jpg?blur=3", ".jpg?crop=1,2,3,4", ".jpg?crop=0.0001:0:0.5:0.5", "_0_200.jpg?crop=0:0:0.5:0.5", "_300_200",
		"_300_200.jpg?crop=0:0:0.5:0.5&fit=crop", ".webp?lossless=true",
	} {
		s, err := Parse(spelling)
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := s.Variant(); ok {
			t.Errorf("%q has the name %q", spelling, name)
		}
	}
}

// FuzzVariant holds that what is read has a name, that it reads the same, and that it is the picture of its canonical spelling.
func FuzzVariant(f *testing.F) {
	for _, name := range []string{"300x200.jpg", "x200-q70", "w0.gif", "full_size.avif", "c0.050_0.640_0.390_0.920-w30-q5.webp", "c1_2_3_4", "x٢٠٠.jpg"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		read, err := ParseVariant(name)
		if err != nil {
			var spec *SpecError
			if !errors.Is(err, ErrNoVariant) && !errors.As(err, &spec) {
				t.Fatalf("%q: %v", name, err)
			}
			return
		}
		s, err := ParseQuery(read, "", nil)
		if err != nil {
			t.Fatalf("%q is %+v and has no canonical form: %v", name, read, err)
		}
		again, ok := s.Variant()
		if !ok {
			t.Fatalf("%q is %+v, which has no name", name, s)
		}
		reread, err := ParseVariant(again)
		if err == nil {
			reread, err = ParseQuery(reread, "", nil)
		}
		if err != nil || reread != s {
			t.Fatalf("%q is %+v, but its name %q is %+v, %v", name, s, again, reread, err)
		}
		if spelled, err := Parse(s.String()); err != nil || spelled != s {
			t.Fatalf("%q is %+v, but %q is %+v, %v", name, s, s.String(), spelled, err)
		}
	})
}
