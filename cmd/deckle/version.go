package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"deckle/transform"
	"deckle/transform/vips"
)

// versionCommand prints what this binary is and can do.
type versionCommand struct{}

// Run prints one line a fact.
func (versionCommand) Run(stdout io.Writer) error {
	engine, err := vips.New(vips.Config{Limits: transform.DefaultLimits()})
	if err != nil {
		return fmt.Errorf("start libvips: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "deckle %s\ngo %s\n%s\nformats read: %s\nformats written: %s\n",
		revision(), strings.TrimPrefix(runtime.Version(), "go"), strings.ReplaceAll(vips.Backend(), ", lib", "\nlib"), inputFormats(), strings.Join(outputFormats(engine), " "))
	return err
}

// inputFormats lists the formats of sources, and those that --inputs adds.
func inputFormats() string {
	optional := transform.OptionalInputs()
	var usual, more []string
	for f := transform.JPEG; f <= transform.SVG; f++ {
		if slices.Contains(optional, f) {
			more = append(more, f.String())
		} else {
			usual = append(usual, f.String())
		}
	}
	return strings.Join(usual, " ") + "; with --inputs: " + strings.Join(more, " ")
}

// built names the commit where the build has no repository to record it from, as in an image: -ldflags "-X main.built=...".
var built string

// revision names the commit that was built, where the build recorded it.
func revision() string {
	if built != "" {
		return built
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}
