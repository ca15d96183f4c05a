package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"deckle/transform"
	"deckle/transform/vips"
)

// renderSettings are the flags that decide what renderings look like and what is read.
type renderSettings struct {
	Inputs    string `help:"Source formats to read beside the usual ones: svg, jxl, jp2, separated by commas. Their decoders are tried less." placeholder:"FORMAT,..."`
	Effort    string `help:"How hard encoders try to make files small, as in jpg=3,webp=4: jpg 1-3 (3 is progressive), webp 1-6, avif, jxl and png 1-9, gif 1-10. Changing it renders everything anew." placeholder:"FORMAT=N,..."`
	WideGamut bool   `help:"Keep colours beyond sRGB: a source with a wide-gamut profile is rendered as Display P3, with a profile of 500 bytes, where the format can hold one. Changing it renders everything anew."`
	Overlays  string `help:"Directory of pictures for watermarks: logo.png in it is watermark=logo." placeholder:"DIR"`
}

// resolve reads the settings into what the engine takes; faults are kept in r.
func (s *renderSettings) resolve(r *reader, limits transform.Limits) vips.Config {
	inputs, err := transform.ParseInputs(s.Inputs)
	if err != nil {
		r.fault("inputs", s.Inputs, err.Error())
	}
	limits.Inputs = inputs
	return vips.Config{Limits: limits, Effort: s.effort(r), WideGamut: s.WideGamut, Overlays: s.overlays(r)}
}

func (s *renderSettings) effort(r *reader) vips.Effort {
	var e vips.Effort
	fields := map[string]*int{"jpg": &e.JPEG, "webp": &e.WebP, "avif": &e.AVIF, "jxl": &e.JXL, "gif": &e.GIF, "png": &e.PNG}
	for _, entry := range list(s.Effort) {
		name, value, _ := strings.Cut(entry, "=")
		n, err := strconv.Atoi(value)
		if fields[name] == nil || err != nil || n < 1 {
			r.fault("effort", entry, "a format and a number, as in webp=4")
			continue
		}
		*fields[name] = n
	}
	if err := e.Check(); err != nil {
		r.fault("effort", s.Effort, err.Error())
	}
	return e
}

// maxOverlay bounds the file of one overlay, bytes: each renderer holds all of them.
const maxOverlay = 4 << 20

func (s *renderSettings) overlays(r *reader) map[string][]byte {
	if s.Overlays == "" {
		return nil
	}
	entries, err := os.ReadDir(s.Overlays)
	if err != nil {
		r.fault("overlays", s.Overlays, "a directory that can be read")
		return nil
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		name := strings.TrimSuffix(entry.Name(), filepath.Ext(entry.Name()))
		if entry.IsDir() || strings.HasPrefix(name, ".") {
			continue
		}
		file, err := os.ReadFile(filepath.Join(s.Overlays, entry.Name()))
		switch {
		case err != nil:
			r.fault("overlays", entry.Name(), "a file that can be read")
		case !transform.IsOverlayName(name):
			r.fault("overlays", entry.Name(), "a name of up to 32 of a-z, 0-9, _ and -")
		case len(file) > maxOverlay:
			r.fault("overlays", entry.Name(), fmt.Sprintf("a file of at most %d bytes", maxOverlay))
		case files[name] != nil:
			r.fault("overlays", entry.Name(), "a name that no other file there has")
		}
		files[name] = file
	}
	return files
}

// warnOf says so when a library that renders should be upgraded.
func (n *node) warnOf(backend string) {
	if vips.Doubtful(backend) {
		n.log.Warn("a decoder may be open to attack by pictures", slog.String("libraries", backend))
	}
}
