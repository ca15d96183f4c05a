package transform

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParseName is the file-name grammar: what the edge makes of a decoded path.
func TestParseName(t *testing.T) {
	tests := []struct {
		name string
		id   string
		want Spec
	}{
		{"cat.jpg", "cat", Spec{Format: JPEG}},
		{"cat.JPG", "cat", Spec{Format: JPEG}},
		{"cat.jpeg", "cat", Spec{Format: JPEG}},
		{"cat.jfif", "cat", Spec{Format: JPEG}},
		{"cat.JpE", "cat", Spec{Format: JPEG}},
		{"cat.png", "cat", Spec{Format: PNG}},
		{"cat.WEBP", "cat", Spec{Format: WebP}},
		{"cat.avif", "cat", Spec{Format: AVIF}},
		{"cat.gif", "cat", Spec{Format: GIF}},
		{"cat.jxl", "cat", Spec{Format: JXL}},
		{"cat.heic", "cat", Spec{Format: HEIC}},
		{"cat.heif", "cat", Spec{Format: HEIC}},
		{"cat.tif", "cat", Spec{Format: TIFF}},
		{"cat.TIFF", "cat", Spec{Format: TIFF}},
		{"cat.auto", "cat", Spec{Format: Auto}},
		{"cat_300_200.webp", "cat", Spec{Format: WebP, Width: 300, Height: 200}},
		{"cat_300_200_2x.webp", "cat", Spec{Format: WebP, Width: 600, Height: 400}},
		{"cat_300_200_1x.webp", "cat", Spec{Format: WebP, Width: 300, Height: 200}},
		{"cat_300_200_3x.webp", "cat", Spec{Format: WebP, Width: 900, Height: 600}},
		{"cat_300_200_1.5x.webp", "cat", Spec{Format: WebP, Width: 450, Height: 300}},
		{"cat_333_111_1.5x.webp", "cat", Spec{Format: WebP, Width: 500, Height: 167}},
		{"cat_300_200_1.25x.jpg", "cat", Spec{Format: JPEG, Width: 375, Height: 250}},
		{"cat_300_200_0.5x.jpg", "cat", Spec{Format: JPEG, Width: 150, Height: 100}},
		{"cat_300_200_1.50x.jpg", "cat", Spec{Format: JPEG, Width: 450, Height: 300}},
		{"cat_300_200_13x.jpg", "cat", Spec{Format: JPEG, Width: 3900, Height: 2600}},
		{"cat_1_1_0.01x.jpg", "cat", Spec{Format: JPEG, Width: 1, Height: 1}},
		{"cat_300_0.webp", "cat", Spec{Format: WebP, Width: 300}},
		{"cat_0_200.webp", "cat", Spec{Format: WebP, Height: 200}},
		{"cat_0_200_2x.webp", "cat", Spec{Format: WebP, Height: 400}},
		{"cat_0_0.webp", "cat", Spec{Format: WebP}},
		{"cat_0_0_2x.webp", "cat", Spec{Format: WebP}},
		{"my_black_cat_300_200.webp", "my_black_cat", Spec{Format: WebP, Width: 300, Height: 200}},
		{"my_black_cat.webp", "my_black_cat", Spec{Format: WebP}},
		{"cat_.webp", "cat_", Spec{Format: WebP}},
		{"_cat_.webp", "_cat_", Spec{Format: WebP}},
		{"cat__300_200.webp", "cat_", Spec{Format: WebP, Width: 300, Height: 200}},
		{"cat_300.webp", "cat_300", Spec{Format: WebP}},
		{"cat_2x.webp", "cat_2x", Spec{Format: WebP}},
		{"cat_300_2x.webp", "cat_300_2x", Spec{Format: WebP}},
		{"cat_300_x.webp", "cat_300_x", Spec{Format: WebP}},
		{"cat_300_200_x.webp", "cat_300_200_x", Spec{Format: WebP}},
		{"cat_300_200_.5x.webp", "cat_300_200_.5x", Spec{Format: WebP}},
		{"cat_300_200_2X.webp", "cat_300_200_2X", Spec{Format: WebP}},
		{"cat_1_2_3_4.webp", "cat_1_2", Spec{Format: WebP, Width: 3, Height: 4}},
		{"cat_2026_11_300_200.webp", "cat_2026_11", Spec{Format: WebP, Width: 300, Height: 200}},
		{"cat_2026_11_0_0.webp", "cat_2026_11", Spec{Format: WebP}},
		{"photo_2026_07_15.jpg", "photo_2026_07_15", Spec{Format: JPEG}}, // a leading zero is no size
		{"IMG_20261121_142301.jpg", "IMG_20261121_142301", Spec{Format: JPEG}},
		{"cat_-300_200.webp", "cat_-300_200", Spec{Format: WebP}},
		{"cat_+300_200.webp", "cat_+300_200", Spec{Format: WebP}},
		{"cat_3e2_200.webp", "cat_3e2_200", Spec{Format: WebP}},
		{"cat_99999_99999_20x.webp", "cat", Spec{Format: WebP, Width: 99999, Height: 99999}},
		{"cat_99999_10_20x.webp", "cat", Spec{Format: WebP, Width: 99999, Height: 10}},
		{"products/6e0/072/cat_300_200.webp", "products/6e0/072/cat", Spec{Format: WebP, Width: 300, Height: 200}},
		{"a_1_2/b.webp", "a_1_2/b", Spec{Format: WebP}},
		{"a_1_2/_3_4.webp", "a_1_2/", Spec{Format: WebP, Width: 3, Height: 4}}, // the id is refused by origin.CheckID
		{"_300_200.webp", "", Spec{Format: WebP, Width: 300, Height: 200}},
		{"cat.v1.webp", "cat.v1", Spec{Format: WebP}},
		{"cat.jpg_300_200.webp", "cat.jpg", Spec{Format: WebP, Width: 300, Height: 200}},
		{"cat.jpg.webp", "cat.jpg", Spec{Format: WebP}},
		{"katze-schön_10_10.png", "katze-schön", Spec{Format: PNG, Width: 10, Height: 10}},
		{".webp", "", Spec{Format: WebP}},
		{"../cat.webp", "../cat", Spec{Format: WebP}},
	}
	if len(tests) < 60 {
		t.Errorf("the table has %d rows, want at least 60", len(tests))
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			id, spec, err := ParseName(test.name)
			if err != nil {
				t.Fatal(err)
			}
			if id != test.id {
				t.Errorf("id %q, want %q", id, test.id)
			}
			if diff := cmp.Diff(test.want, spec); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseNameRefuses(t *testing.T) {
	tests := []struct{ name, option, hint string }{
		{"cat.bmp", "extension", "did you mean"},
		{"cat.webpp", "extension", "did you mean webp?"},
		{"cat.", "extension", "did you mean"},
		{"cat_300_200_0x.webp", "ratio", "up to 20"},
		{"cat_300_200_21x.webp", "ratio", "up to 20"},
		{"cat_300_200_1.555x.webp", "ratio", "two decimals"},
		{"cat_300_200_0.00x.webp", "ratio", "above 0"},
		{"cat_300_200_99999999999999999999x.webp", "ratio", "up to 20"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := ParseName(test.name)
			var spec *SpecError
			if !errors.As(err, &spec) || spec.Option != test.option || !strings.Contains(spec.Hint, test.hint) {
				t.Errorf("got %v, want a SpecError on %s with %q", err, test.option, test.hint)
			}
		})
	}
	for _, name := range []string{"", "cat", "cat_300_200", "a.b/cat"} {
		if _, _, err := ParseName(name); !errors.Is(err, ErrNoExtension) {
			t.Errorf("%q: %v, want ErrNoExtension", name, err)
		}
	}
}

func TestParseCanonical(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{".webp", ".webp"},
		{"_300_200_2x.webp", "_600_400.webp"},
		{"_0_0.jpeg", ".jpg"},
		{"_300_200.webp?fit=clip&gravity=north&enlarge=false&quality=auto&blur=false", "_300_200.webp"},
		{"_300_200.webp?gravity=north&fit=crop", "_300_200.webp?fit=crop&gravity=north"},
		{"_300_200.webp?FIT=x", ""},
		{"_300_200.webp?fit=CROP", "_300_200.webp?fit=crop"},
		{"_300_0.webp?fit=crop&gravity=south", "_300_0.webp?enlarge=true"},
		{"_300_200.webp?fit=cover&enlarge=true&gravity=west", "_300_200.webp?fit=cover"},
		{".webp?fit=crop&enlarge=true", ".webp"},
		{".webp?rotate=180&flip=hv", ".webp"},
		{".webp?flip=hv", ".webp?rotate=180"},
		{".webp?rotate=270&flip=h", ".webp?rotate=90&flip=v"},
		{".webp?rotate=180&flip=v", ".webp?flip=h"},
		{".png?quality=20", ".png"},
		{".jpg?quality=20", ".jpg?quality=20"},
		{".jpg?background=fff", ".jpg"},
		{".png?background=FFF", ".png?background=ffffff"},
		{".png?background=%23abc", ".png?background=aabbcc"},
		{".png?background=12345678", ".png?background=12345678"},
		{".png?background=12345600", ".png?background=transparent"},
		{".png?background=123456ff", ".png?background=123456"},
		{".webp?blur=true", ".webp?blur=7"},
		{".webp?blur=1.50", ".webp?blur=1.5"},
		{".webp?crop=0:0:1:1", ".webp"},
		{".webp?crop=0.25:0:1.0:0.500", ".webp?crop=0.25:0:1:0.5"},
		{".webp?crop=10%2C20%2C30%2C40", ".webp?crop=10,20,30,40"},
		{".webp?&&quality=7&", ".webp?quality=7"},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			spec, err := Parse(test.in)
			if test.want == "" && test.in != "" {
				if err == nil {
					t.Fatalf("accepted as %q", spec)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if spec.String() != test.want {
				t.Errorf("got %q, want %q", spec, test.want)
			}
		})
	}
}

func TestOptionsRefused(t *testing.T) {
	tests := []struct{ query, option, hint string }{
		{"fitt=crop", "fitt", "did you mean fit?"},
		{"qualty=3", "qualty", "did you mean quality?"},
		{"fit=cropp", "fit", "did you mean crop?"},
		{"gravity=nort", "gravity", "did you mean north?"},
		{"enlarge=yes", "enlarge", "true or false"},
		{"quality=0", "quality", "1 to 100"},
		{"quality=101", "quality", "1 to 100"},
		{"quality=", "quality", "1 to 100"},
		{"rotate=45", "rotate", "0, 90, 180 or 270"},
		{"flip=x", "flip", "did you mean"},
		{"blur=0.2", "blur", "0.3 to 100"},
		{"blur=101", "blur", "0.3 to 100"},
		{"blur=1.234", "blur", "two decimals"},
		{"blur=NaN", "blur", "0.3 to 100"},
		{"background=red", "background", "hex"},
		{"background=12", "background", "hex"},
		{"crop=1,2,3", "crop", "x,y,w,h"},
		{"crop=1,2,0,4", "crop", "x,y,w,h"},
		{"crop=0.5:0:0.5:1", "crop", "x0 < x1"},
		{"crop=0:0:1.1:1", "crop", "from 0 to 1"},
		{"fit=crop&fit=clip", "fit", "twice"},
		{"fit=%zz", "query", "%25"},
		{strings.Repeat("q", 5000) + "=1", "", "unknown option"},
	}
	for _, test := range tests {
		t.Run(test.query[:min(20, len(test.query))], func(t *testing.T) {
			_, err := ParseQuery(Spec{Format: WebP}, test.query, nil)
			var spec *SpecError
			if !errors.As(err, &spec) {
				t.Fatalf("got %v, want a SpecError", err)
			}
			if test.option != "" && spec.Option != test.option {
				t.Errorf("names %q, want %q", spec.Option, test.option)
			}
			if !strings.Contains(spec.Hint, test.hint) {
				t.Errorf("hint %q, want %q in it", spec.Hint, test.hint)
			}
			if len(spec.Error()) > 400 {
				t.Errorf("the text repeats too much: %d bytes", len(spec.Error()))
			}
		})
	}
	if _, err := Parse(".jpg?background=transparent"); err == nil {
		t.Error("a transparent background was accepted for JPEG")
	}
}

func TestParseQueryIgnores(t *testing.T) {
	ignore := func(name string) bool { return name == "v" || strings.HasPrefix(name, "utm_") }
	spec, err := ParseQuery(Spec{Format: WebP}, "v=1&v=2&utm_source=%zz&quality=7", ignore)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Spec{Format: WebP, Quality: 7}); spec != want {
		t.Errorf("got %+v, want %+v", spec, want)
	}
}

func TestClamp(t *testing.T) {
	tests := []struct{ in, want string }{
		{"_300_200.webp", ""},
		{"_5000_200.webp", "_4096_200.webp"},
		{"_5000_9000.webp", "_4096_4096.webp"},
		{"_8192_4096.webp?fit=crop", "_4096_2048.webp?fit=crop"},
		{"_4096_8192.webp?fit=stretch", "_2048_4096.webp?fit=stretch"},
		{"_50000_1.webp?fit=canvas", "_4096_1.webp?fit=canvas"},
		{"_5000_0.webp", "_4096_0.webp"},
	}
	for _, test := range tests {
		spec, err := Parse(test.in)
		if err != nil {
			t.Fatal(err)
		}
		got, changed := spec.Clamp(4096)
		if changed != (test.want != "") || (changed && got.String() != test.want) {
			t.Errorf("%s: got %s (%v), want %s", test.in, got, changed, test.want)
		}
	}
}

// TestEveryFieldCounts holds that no field of Spec is left out of the canonical spelling, and so of the cache key.
func TestEveryFieldCounts(t *testing.T) {
	base := Spec{Format: PNG, Width: 300, Height: 200, Fit: FitClip}
	seen := map[string]string{base.String(): "the base"}
	for i := range reflect.TypeOf(base).NumField() {
		changed := base
		field := reflect.ValueOf(&changed).Elem().Field(i)
		name := reflect.TypeOf(base).Field(i).Name
		switch value := field.Addr().Interface().(type) {
		case *Format:
			*value = WebP
		case *Fit:
			*value = FitCrop
		case *Gravity:
			*value = NorthEast
		case *Flip:
			*value = FlipVertical
		case *Crop:
			*value = Crop{X: 1, Y: 2, W: 3, H: 4}
		case *Background:
			*value = Background{Set: true, R: 1, A: 9}
		case *Focus:
			*value = Focus{Set: true, X: 1}
		case *Trim:
			*value = Trim{Set: true}
		case *Watermark:
			*value = Watermark{Name: "logo", Gravity: North, Scale: 10, Opacity: 50}
		case *bool:
			*value = true
		case *int:
			*value = 90
		default:
			t.Fatalf("field %s has a type that this test does not change", name)
		}
		text := changed.String()
		if other, taken := seen[text]; taken {
			t.Errorf("a change of %s gives %q, as %s does", name, text, other)
		}
		seen[text] = name
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", ".webp", "_300_200_2x.webp?fit=crop&gravity=north", ".png?background=12345678&blur=1.5", "_1_0_0.5x.auto?enlarge=true",
		".jpg?crop=0.1:0.2:0.3:0.4&rotate=270&flip=v&quality=7", "_99999_1_20x.gif", ".webp?crop=1,2,3,4",
		"_9_9.webp?fit=crop&gravity=fp:0.25:1&trim=0&lossless=true&max_bytes=1000&sharpen=0.5&watermark=logo,north,0.5,0.3",
		"_9_9.png?fit=canvas&background=blur&brightness=0&contrast=200&saturation=50&gray=true&gravity=attention",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		spec, err := Parse(s)
		if err != nil {
			var known *SpecError
			if !errors.As(err, &known) {
				t.Fatalf("%q: %v is no SpecError", s, err)
			}
			return
		}
		text := spec.String()
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("%q printed as %q, which is refused: %v", s, text, err)
		}
		if again != spec {
			t.Fatalf("%q: %+v printed as %q reads as %+v", s, spec, text, again)
		}
		if len(text) > 400 {
			t.Fatalf("%q prints %d bytes", s, len(text))
		}
	})
}

// FuzzParseName holds that a name splits without loss: the canonical spelling appended to the id reads the same again.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{"cat.webp", "cat_300_200_2x.webp", "a/b_c_1_0_1.5x.JPG", "a_1_2_3_4.png", "x", "_0_0.gif"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		id, spec, err := ParseName(name)
		if err != nil {
			return
		}
		again, other, err := ParseName(id + "_0_0." + spec.Format.Ext())
		if err != nil || again != id || other != (Spec{Format: spec.Format}) {
			t.Fatalf("%q: id %q reads as %q, %+v, %v", name, id, again, other, err)
		}
		if spec.Size() != "" {
			again, other, err = ParseName(id + spec.Size() + "." + spec.Format.Ext())
			if err != nil || again != id || other != spec {
				t.Fatalf("%q: %q and %+v read as %q, %+v, %v", name, id, spec, again, other, err)
			}
		}
	})
}
