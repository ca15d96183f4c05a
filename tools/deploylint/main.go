// Command deploylint reads Dockerfiles and compose files with the parsers that build and run them, and says what is wrong with them.
// It is a module of its own, so that what it needs stays out of the product's.
//
//	deploylint dockerfile FILE...
//	deploylint compose [NAME=VALUE...] FILE...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

func main() {
	kinds := map[string]func(file string, environment []string) error{"dockerfile": lintDockerfile, "compose": lintCompose}
	if len(os.Args) < 3 || kinds[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "use: deploylint dockerfile|compose [NAME=VALUE...] FILE...")
		os.Exit(2)
	}
	var environment []string
	code := 0
	for _, arg := range os.Args[2:] {
		if strings.Contains(arg, "=") {
			environment = append(environment, arg)
			continue
		}
		if err := kinds[os.Args[1]](arg, environment); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", arg, err)
			code = 1
		}
	}
	os.Exit(code)
}

// lintDockerfile plans every stage as a build would, without fetching an image, and fails on what BuildKit warns of.
func lintDockerfile(file string, _ []string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	source := llb.NewSourceMap(nil, file, "Dockerfile", text)
	source.Definition = &llb.Definition{} // of where it came from, which nobody asks here
	results, err := dockerfile2llb.DockerfileLint(context.Background(), text, dockerfile2llb.ConvertOpt{MetaResolver: anyImage{}, SourceMap: source})
	if err != nil {
		return err
	}
	var faults []error
	if results.Error != nil {
		faults = append(faults, errors.New(results.Error.Message))
	}
	for _, w := range results.Warnings {
		line := 0
		if w.Location != nil && len(w.Location.Ranges) > 0 {
			line = int(w.Location.Ranges[0].Start.Line)
		}
		faults = append(faults, fmt.Errorf("line %d: %s: %s", line, w.RuleName, w.Detail))
	}
	return errors.Join(faults...)
}

// anyImage answers for every image that it exists and says nothing of itself.
type anyImage struct{}

// ResolveImageConfig implements llb.ImageMetaResolver.
func (anyImage) ResolveImageConfig(_ context.Context, name string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	if _, err := reference.ParseNormalizedNamed(name); err != nil {
		return "", "", nil, fmt.Errorf("image %s: %w", name, err)
	}
	platform := ocispecs.Platform{OS: "linux", Architecture: "amd64"}
	if opt.ImageOpt != nil && opt.ImageOpt.Platform != nil {
		platform = *opt.ImageOpt.Platform
	}
	config := fmt.Sprintf(`{"os":%q,"architecture":%q,"config":{"Env":["PATH=/usr/bin:/bin"]},"rootfs":{"type":"layers","diff_ids":[]}}`,
		platform.OS, platform.Architecture)
	return name, digest.FromString(config), []byte(config), nil
}

// lintCompose loads a file as `docker compose` does, with variables given, and fails on what is inconsistent, on images and
// folders that are not named well, and on services that may do more than they need.
func lintCompose(file string, environment []string) error {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithEnv(environment), cli.WithResolvedPaths(true), cli.WithoutEnvironmentResolution)
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	var faults []error
	for _, name := range project.ServiceNames() {
		service := project.Services[name]
		for _, fault := range serviceFaults(service) {
			faults = append(faults, fmt.Errorf("service %s: %s", name, fault))
		}
	}
	return errors.Join(faults...)
}

func serviceFaults(s types.ServiceConfig) (faults []string) {
	if _, err := reference.ParseNormalizedNamed(s.Image); err != nil {
		faults = append(faults, fmt.Sprintf("image %s: %v", s.Image, err))
	}
	if s.Build != nil {
		if _, err := os.Stat(s.Build.Context + "/" + s.Build.Dockerfile); err != nil {
			faults = append(faults, err.Error())
		}
	}
	for _, file := range s.EnvFiles {
		if _, err := os.Stat(file.Path + ".example"); err != nil {
			faults = append(faults, "its environment file has no example: "+err.Error())
		}
	}
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeBind {
			continue
		}
		if _, err := os.Stat(v.Source); err != nil {
			faults = append(faults, err.Error())
		}
	}
	if !s.ReadOnly {
		faults = append(faults, "its root can be written")
	}
	if s.Privileged || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		faults = append(faults, "it may gain privileges")
	}
	if s.Restart != "no" && s.HealthCheck == nil && s.Name != "s3" { // its image has nothing to ask with
		faults = append(faults, "it has no health check")
	}
	return faults
}
