package proxy

import (
	"testing"

	"deckle/transform"
)

func TestNegotiate(t *testing.T) {
	all := func(transform.Format) bool { return true }
	tests := []struct {
		name, accept string
		want         transform.Format
	}{
		{"nothing", "", transform.Auto},
		{"anything", "*/*", transform.Auto},
		{"any picture", "image/*", transform.Auto},
		{"Chrome", "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", transform.AVIF},
		{"Firefox", "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", transform.AVIF},
		{"Safari 15", "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", transform.WebP},
		{"AVIF refused", "image/avif;q=0,image/webp", transform.WebP},
		{"both refused", "image/avif;q=0, image/webp;q=0.0", transform.Auto},
		{"WebP preferred", "image/avif;q=0.5,image/webp;q=0.9", transform.WebP},
		{"equal weights", "image/webp;q=0.5,image/avif;q=0.5", transform.AVIF},
		{"spaces and case", " Image/WEBP ; Q=0.3 ", transform.WebP},
		{"a name inside another", "image/webpx,ximage/avif", transform.Auto},
		{"bad weight", "image/avif;q=nan,image/webp;q=2", transform.Auto},
		{"other parameter", "image/webp;v=1;q=0.4", transform.WebP},
		{"the first element counts", "image/webp;q=0,image/webp;q=1", transform.Auto},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := negotiate(test.accept, all); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	noAVIF := func(f transform.Format) bool { return f != transform.AVIF }
	if got := negotiate("image/avif,image/webp", noAVIF); got != transform.WebP {
		t.Errorf("without an AVIF encoder: got %s, want webp", got)
	}
}

func FuzzNegotiate(f *testing.F) {
	f.Add("image/avif,image/webp;q=0.8,*/*")
	f.Add(";;;,,,q=")
	f.Fuzz(func(t *testing.T, accept string) {
		switch got := negotiate(accept, func(transform.Format) bool { return true }); got {
		case transform.AVIF, transform.WebP, transform.Auto:
		default:
			t.Errorf("%q gives %s", accept, got)
		}
		if q := acceptQ(accept, "image/webp"); !(q >= 0 && q <= 1) {
			t.Errorf("%q gives the weight %v", accept, q)
		}
	})
}
