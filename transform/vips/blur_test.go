package vips

import (
	"image"
	"math"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

func TestBlurKeepsTheMeanAndLosesTheEdges(t *testing.T) {
	source := testimage.PNG(testimage.Photo(400, 300, 6))
	sharp := decode(t, mustRender(t, source, transform.Spec{Format: transform.PNG, Width: 200}))
	last := edges(sharp)
	for _, sigma := range []int{30, 100, 300, 790, 810, 1500, 4000, 10000} {
		soft := decode(t, mustRender(t, source, transform.Spec{Format: transform.PNG, Width: 200, Blur: sigma}))
		if soft.Rect != sharp.Rect {
			t.Fatalf("sigma %d: size %v", sigma, soft.Rect)
		}
		if now := edges(soft); now >= last {
			t.Errorf("sigma %d: edges %.2f, were %.2f", sigma, now, last)
		} else {
			last = now
		}
		if a, b := mean(sharp), mean(soft); math.Abs(a-b) > 4 {
			t.Errorf("sigma %d: mean %.1f, was %.1f", sigma, b, a)
		}
	}
}

// A step edge blurred by a Gaussian is the error function: sigma is what the option says.
func TestBlurHasTheAskedSigma(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 240, 40))
	for i := range img.Pix {
		if i%240 >= 120 {
			img.Pix[i] = 200
		}
	}
	for _, sigma := range []float64{1, 3, 7, 9, 15, 25} {
		p := mustRender(t, testimage.PNG(img), transform.Spec{Format: transform.PNG, Blur: int(sigma * 100)})
		got := decode(t, p)
		for x := range 240 {
			want := 100 * (1 + math.Erf((float64(x)+0.5-120)/(sigma*math.Sqrt2)))
			if v := float64(got.NRGBAAt(x, 20).R); math.Abs(v-want) > 6 {
				t.Errorf("sigma %v, pixel %d: %.0f, want %.0f", sigma, x, v, want)
				break
			}
		}
	}
}

// edges returns the mean absolute step between neighbours in a row.
func edges(img *image.NRGBA) float64 {
	sum := 0.0
	for y := range img.Rect.Dy() {
		for x := 1; x < img.Rect.Dx(); x++ {
			sum += math.Abs(luma(img, x, y) - luma(img, x-1, y))
		}
	}
	return sum / float64(img.Rect.Dx()*img.Rect.Dy())
}

func mean(img *image.NRGBA) float64 {
	sum := 0.0
	for i := range img.Rect.Dx() * img.Rect.Dy() {
		sum += luma(img, i%img.Rect.Dx(), i/img.Rect.Dx())
	}
	return sum / float64(img.Rect.Dx()*img.Rect.Dy())
}
