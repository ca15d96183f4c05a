package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"deckle/transform"
)

// renderOutput is one variant that is made of every source.
type renderOutput struct {
	spec transform.Spec
	name string // what a file's name has in place of the source's extension
}

// foundSource is a file that is rendered.
type foundSource struct {
	path   string
	rel    string // below the folder that was searched
	picked bool   // named by the caller, and not found in a folder
}

// plan lists what is to be made. Its errors wrap errUsage: nothing has been begun.
func (c *renderCommand) plan(limits transform.Limits) ([]renderTask, error) {
	outputs, err := readOutputs(c.Outputs, limits)
	if err != nil {
		return nil, fmt.Errorf("%w: --outputs: %w", errUsage, err)
	}
	sources, err := c.find()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	made := map[string]string{} // source by target
	for _, s := range sources {
		for _, o := range outputs {
			made[c.target(s, o)] = s.path
		}
	}
	var tasks []renderTask
	taken := map[string]string{}
	for _, s := range sources {
		if by := made[s.path]; by != "" && by != s.path && !s.picked {
			continue // a former run made it beside its source
		}
		for _, o := range outputs {
			target := c.target(s, o)
			if other, again := taken[target]; again && other != s.path {
				return nil, fmt.Errorf("%w: %s and %s would both become %s; render them into folders of their own", errUsage, other, s.path, target)
			}
			if target == s.path {
				return nil, fmt.Errorf("%w: %s would be replaced by its own rendering; name a folder with --to", errUsage, target)
			}
			taken[target] = s.path
			tasks = append(tasks, renderTask{source: s.path, target: target, spec: o.spec})
		}
	}
	if len(tasks) == 0 {
		return nil, fmt.Errorf("%w: there is no picture in %s", errUsage, strings.Join(c.Sources, ", "))
	}
	return tasks, nil
}

func (c *renderCommand) target(s foundSource, o renderOutput) string {
	path := s.path
	if c.To != "" {
		path = filepath.Join(c.To, s.rel)
	}
	return filepath.Clean(strings.TrimSuffix(path, filepath.Ext(path)) + o.name)
}

// readOutputs reads variants. A comma ends one only before the underscore or the dot that the next begins with: values of options
// may have commas.
func readOutputs(flags []string, limits transform.Limits) ([]renderOutput, error) {
	var outputs []renderOutput
	seen := map[string]bool{}
	for _, flag := range flags {
		parts := strings.Split(flag, ",")
		for i := 0; i < len(parts); i++ {
			text := parts[i]
			for i+1 < len(parts) && !strings.HasPrefix(parts[i+1], "_") && !strings.HasPrefix(parts[i+1], ".") {
				i++
				text += "," + parts[i]
			}
			o, err := readOutput(text, limits)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", text, err)
			}
			if !seen[o.name] {
				outputs = append(outputs, o)
			}
			seen[o.name] = true
		}
	}
	return outputs, nil
}

func readOutput(text string, limits transform.Limits) (o renderOutput, err error) {
	if o.spec, err = transform.Parse(text); err != nil {
		return o, err
	}
	if o.spec.Format == transform.Source || o.spec.Format == transform.Auto {
		return o, &transform.SpecError{Option: "extension", Value: o.spec.Format.Ext(), Hint: "name a format, as in _300_0.webp: there is no viewer to choose one for"}
	}
	if _, over := o.spec.Clamp(limits.OutputSide); over {
		return o, &transform.SpecError{Option: "size", Value: o.spec.Size(), Hint: "sides have at most " + strconv.Itoa(limits.OutputSide) + " pixels"}
	}
	name, query, _ := strings.Cut(text, "?")
	if query != "" {
		ext := filepath.Ext(name)
		name = strings.TrimSuffix(name, ext) + "," + fileName(query) + ext
	}
	o.name = name
	return o, nil
}

// fileName spells options so that every file system takes them.
func fileName(query string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '&':
			return ','
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune("=,._~-", c):
			return c
		}
		return '-'
	}, query)
}

// find lists the sources that the arguments name, each once.
func (c *renderCommand) find() ([]foundSource, error) {
	if _, err := filepath.Match(c.Match, ""); err != nil {
		return nil, fmt.Errorf("--match is %q: want a pattern as in *.jpg", c.Match)
	}
	var sources []foundSource
	seen := map[string]bool{}
	add := func(s foundSource) {
		s.path = filepath.Clean(s.path)
		if !seen[s.path] {
			sources = append(sources, s)
		}
		seen[s.path] = true
	}
	for _, arg := range c.Sources {
		paths, picked := []string{arg}, true
		if _, err := os.Stat(arg); err != nil { // a pattern that the shell has left alone
			if paths, _ = filepath.Glob(arg); len(paths) == 0 {
				return nil, fmt.Errorf("%s: there is no such file or folder", arg)
			}
			picked = false
		}
		for _, path := range paths {
			if err := c.search(path, picked, add); err != nil {
				return nil, err
			}
		}
	}
	return sources, nil
}

// search adds a file, or the pictures in a folder and those below it. Names with a leading dot are passed over there, and links
// are not followed.
func (c *renderCommand) search(root string, picked bool, add func(foundSource)) error {
	if info, err := os.Stat(root); err != nil {
		return err
	} else if !info.IsDir() {
		add(foundSource{path: root, rel: filepath.Base(root), picked: picked})
		return nil
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != root && strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		matches, _ := filepath.Match(c.Match, entry.Name()) // the pattern was found good
		if !entry.Type().IsRegular() || !matches || !likePicture(path) {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		add(foundSource{path: path, rel: rel})
		return err
	})
}

// likePicture tells by its name whether a file may be a picture.
func likePicture(path string) bool {
	ext := strings.ToLower(strings.TrimPrefix(filepath.Ext(path), "."))
	format, known := transform.FormatByExt(ext)
	return known && format != transform.Auto || ext == "bmp" || ext == "ico" || ext == "jp2" || ext == "svg"
}
