package vips

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/internal/testimage"
	"deckle/transform"
)

// The tables of bench/results are written by these tests when DECKLE_RESULTS names the folder; without it they hold the same
// on a few pictures. DECKLE_COMPARE may name a program that takes two PNG files and prints how far the second is from the
// first; quality.md then has its figures too.
const (
	resultsVariable = "DECKLE_RESULTS"
	compareVariable = "DECKLE_COMPARE"
)

// photograph is a source and what it is called in a table.
type photograph struct {
	name   string
	source []byte
}

// photographs returns the still pictures of the good corpus that are at least wide pixels wide, and made ones beside them, so
// that there are some without it.
func photographs(t *testing.T, wide, most int) []photograph {
	t.Helper()
	list := []photograph{
		{"made 1600x1200", testimage.JPEG(testimage.Photo(1600, 1200, 21), 90)},
		{"made 1200x1600 png", testimage.PNG(testimage.Photo(1200, 1600, 22))},
	}
	for _, name := range corpusFiles(t, "good") {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		h, err := transform.ReadHeader(source)
		if err != nil || h.Frames > 1 || h.Alpha {
			continue
		}
		if w, _ := h.Upright(); w >= wide && strings.Contains("jpeg png heic avif tiff", h.Format.String()) {
			list = append(list, photograph{filepath.Base(name), source})
		}
	}
	return list[:min(len(list), most)]
}

// exact returns the reference: the source decoded whole, upright, in sRGB, resized by Lanczos3 at the very end.
func exact(t *testing.T, p photograph, width int) *image.NRGBA {
	t.Helper()
	img, err := libvips.NewImageFromBuffer(p.source, &libvips.LoadOptions{})
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	defer img.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
	}
	must(img.Autorot(nil))
	o := libvips.IccTransformOptions{Embedded: true, Intent: libvips.IntentRelative, BlackPointCompensation: true, Depth: 8}
	if img.Interpretation() == libvips.InterpretationCmyk {
		o.InputProfile = "cmyk"
	}
	if !img.HasICCProfile() && img.Interpretation() != libvips.InterpretationCmyk || img.IccTransform("srgb", &o) != nil {
		must(img.Colourspace(libvips.InterpretationSrgb, nil))
	}
	if img.Width() > width {
		shown := mustRender(t, p.source, transform.Spec{Format: transform.PNG, Width: width})
		must(img.Reduce(float64(img.Width())/float64(width), float64(img.Height())/float64(shown.Height), &libvips.ReduceOptions{Kernel: libvips.KernelLanczos3}))
	}
	saved, err := img.PngsaveBuffer(nil)
	must(err)
	return decode(t, &transform.Picture{Body: saved, Format: transform.PNG, Width: img.Width(), Height: img.Height()})
}

// pipeline is a way to render that the fidelity table has a column for. Each is held against the first.
type pipeline struct {
	name   string
	render func(source []byte, spec transform.Spec) (*transform.Picture, error)
}

func pipelines() []pipeline {
	plain := func(source []byte, spec transform.Spec) (*transform.Picture, error) {
		return engine.Render(context.Background(), source, spec)
	}
	return []pipeline{{"plain", plain}, {"pyramid", fromPyramid}}
}

// fromPyramid renders from levels that another rendering has kept, from the first that is good for this one; where a pyramid is
// of no use it renders as plain does.
func fromPyramid(source []byte, spec transform.Spec) (*transform.Picture, error) {
	header, err := engine.limits.ReadHeader(source)
	if err != nil {
		return nil, err
	}
	first, ok := transform.LevelOf(header, spec, engine.limits)
	if !ok {
		return engine.Render(context.Background(), source, spec)
	}
	memory := make([]byte, transform.KeptSize(header, 0))
	// Half of them from the level itself, half from finer ones that were halved.
	raised := transform.Spec{Format: transform.JPEG, Width: spec.Width}
	_, kept, err := engine.Keep(context.Background(), source, raised, first*(spec.Width/2%2), memory)
	if err != nil || kept == 0 {
		return engine.Render(context.Background(), source, spec)
	}
	return engine.RenderKept(context.Background(), header, memory[:kept], spec)
}

// maxLoss is how much less similar to the reference a pipeline may be than the plain one.
const maxLoss = 0.002

// TestFidelity: results are as close to a full decode and Lanczos3 as an encoder lets them be, at every size.
func TestFidelity(t *testing.T) {
	sizes, most := []int{100, 400}, 3
	folder := os.Getenv(resultsVariable)
	if folder != "" {
		sizes, most = []int{64, 160, 320, 500, 800, 1200}, 1000
	}
	formats := []transform.Format{transform.JPEG, transform.WebP, transform.AVIF}
	var table strings.Builder
	lossless := map[int][]float64{}
	for _, p := range photographs(t, 300, most) {
		for _, width := range sizes {
			want := exact(t, p, width)
			bare := mustRender(t, p.source, transform.Spec{Format: transform.PNG, Width: width})
			pure := mssim(decode(t, bare), want)
			lossless[width] = append(lossless[width], pure)
			if pure < 0.97 {
				t.Errorf("%s, %d wide, without an encoder's loss: similarity %.4f", p.name, width, pure)
			}
			fmt.Fprintf(&table, "| %s | %d | %.4f |", p.name, bare.Width, pure)
			for _, f := range formats {
				checkPipelines(t, &table, p, want, transform.Spec{Format: f, Width: width})
			}
			table.WriteString("\n")
		}
	}
	if folder == "" {
		return
	}
	writeResult(t, filepath.Join(folder, "fidelity.md"), fidelityText(pipelines(), formats, sizes, lossless)+table.String())
}

// checkPipelines renders by each pipeline, and holds the later ones against the first.
func checkPipelines(t *testing.T, table *strings.Builder, p photograph, want *image.NRGBA, spec transform.Spec) {
	t.Helper()
	var first float64
	for i, way := range pipelines() {
		picture, err := way.render(p.source, spec)
		if err != nil {
			t.Fatalf("%s by %s: %v", p.name, way.name, err)
		}
		got := mssim(decode(t, picture), want)
		if i == 0 {
			first = got
		}
		if got < first-maxLoss {
			t.Errorf("%s to %s by %s: similarity %.4f, plain %.4f", p.name, spec, way.name, got, first)
		}
		fmt.Fprintf(table, " %.4f (%.1f) |", got, float64(len(picture.Body))/1024)
	}
}

func fidelityText(ways []pipeline, formats []transform.Format, sizes []int, lossless map[int][]float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Fidelity\n\nMean structural similarity of luma (8x8 windows, 4 apart) to the source decoded whole, brought to sRGB and resized by\n"+
		"Lanczos3 in sRGB; in brackets KiB. Quality auto, default efforts, libvips %s. Without loss: the pipeline alone, written as PNG.\n\n", Version())
	b.WriteString("| width | pictures | without loss: least | median |\n|---|---|---|---|\n")
	for _, width := range sizes {
		values := slices.Sorted(slices.Values(lossless[width]))
		fmt.Fprintf(&b, "| %d | %d | %.4f | %.4f |\n", width, len(values), values[0], values[len(values)/2])
	}
	b.WriteString("\n| picture | width | without loss |")
	for _, f := range formats {
		for _, way := range ways {
			fmt.Fprintf(&b, " %s, %s |", f, way.name)
		}
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(formats)*len(ways)) + "\n")
	return b.String()
}

func writeResult(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// qualities are what quality.md sweeps, per format.
var qualities = map[transform.Format][]int{
	transform.JPEG: {60, 75, 80, 85, 90}, transform.WebP: {60, 75, 80, 85, 90}, transform.AVIF: {50, 55, 60, 65, 70},
	transform.HEIC: {40, 43, 45, 50, 60}, transform.JXL: {60, 75, 80, 85, 90},
}

// TestQualitiesLookAlike: at quality auto the formats are about as close to the reference as JPEG is, and none takes more bytes
// than JPEG for it.
func TestQualitiesLookAlike(t *testing.T) {
	const width = 800
	most := 2
	folder := os.Getenv(resultsVariable)
	if folder != "" {
		most = 12
	}
	var sources []*image.NRGBA
	for _, p := range photographs(t, width, most) {
		sources = append(sources, decode(t, mustRender(t, p.source, transform.Spec{Format: transform.PNG, Width: width})))
	}
	var table strings.Builder
	auto := map[transform.Format]point{}
	for _, f := range []transform.Format{transform.JPEG, transform.WebP, transform.AVIF, transform.HEIC, transform.JXL} {
		sweep := []int{autoQuality[f]}
		if folder != "" {
			sweep = qualities[f]
		}
		for _, q := range sweep {
			at := measure(t, sources, f, q)
			mark := ""
			if q == autoQuality[f] {
				auto[f], mark = at, " (auto)"
			}
			fmt.Fprintf(&table, "| %s | %d%s | %.4f | %.4f | %s | %.1f |\n", f, q, mark, at.mean, at.least, at.distance, at.kib)
		}
	}
	for f, at := range auto {
		if jpeg := auto[transform.JPEG]; at.mean < jpeg.mean-0.015 || at.mean > jpeg.mean+0.02 || at.kib > jpeg.kib {
			t.Errorf("%s: similarity %.4f in %.1f KiB; jpeg has %.4f in %.1f", f, at.mean, at.kib, jpeg.mean, jpeg.kib)
		}
	}
	if folder != "" {
		writeResult(t, filepath.Join(folder, "quality.md"), qualityText(len(sources), width)+table.String())
	}
}

// point is what a quality gives: means over all pictures, and the least.
type point struct {
	mean, least, kib float64
	distance         string // by the program of DECKLE_COMPARE
}

func measure(t *testing.T, sources []*image.NRGBA, f transform.Format, quality int) point {
	t.Helper()
	at := point{least: 1, distance: "-"}
	n, sum := float64(len(sources)), 0.0
	for _, source := range sources {
		p := mustRender(t, testimage.PNG(source), transform.Spec{Format: f, Quality: quality})
		shown := decode(t, p)
		s := mssim(shown, source)
		at.mean, at.least, at.kib = at.mean+s/n, min(at.least, s), at.kib+float64(len(p.Body))/1024/n
		sum += distance(t, source, shown)
	}
	if os.Getenv(compareVariable) != "" {
		at.distance = fmt.Sprintf("%.4f", sum/n)
	}
	return at
}

// distance asks the program of DECKLE_COMPARE; 0 without one.
func distance(t *testing.T, a, b *image.NRGBA) float64 {
	t.Helper()
	program := os.Getenv(compareVariable)
	if program == "" {
		return 0
	}
	var names []string
	for i, img := range []*image.NRGBA{a, b} {
		var file bytes.Buffer
		if err := png.Encode(&file, img); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), strconv.Itoa(i)+".png")
		if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	out, err := exec.Command(program, names...).Output()
	if err != nil {
		t.Fatalf("compare: %v", err)
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func qualityText(pictures, width int) string {
	return fmt.Sprintf("# Quality\n\n%d photographs %d wide, encoded from the same pixels at default efforts, libvips %s. Similarity: mean structural\n"+
		"similarity of luma; distance: SSIMULACRA 1, lower is closer (- where it was not asked for).\n\n"+
		"| format | quality | mean similarity | least | mean distance | mean KiB |\n|---|---|---|---|---|---|\n", pictures, width, Version())
}
