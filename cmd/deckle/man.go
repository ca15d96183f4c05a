package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// manCommand prints the manual page.
type manCommand struct{}

// Run prints it as man(7) spells pages.
func (manCommand) Run(stdout io.Writer, k *kong.Context) error {
	_, err := io.WriteString(stdout, manual(k.Model.Node))
	return err
}

// manualDate is when somebody last read the words below.
const manualDate = "2026-11-22"

// exitMeanings say what the exit codes mean.
var exitMeanings = map[int]string{
	exitOK:     "done",
	exitFailed: "something could not be done: the error output says what, and what was done is kept",
	exitUsage:  "the command line or the configuration is at fault; nothing was begun",
}

// manual is the page of a program's commands.
func manual(program *kong.Node) string {
	p := &page{}
	p.line(`.TH DECKLE 1 "`+manualDate+`" "Deckle"`, `.nh`, `.ad l`, `.SH NAME`, `deckle \- image proxy that renders pictures by URL and keeps them`, `.SH SYNOPSIS`, `.B deckle`)
	p.text("[command] [flags]")
	p.line(`.SH DESCRIPTION`)
	p.text("One program: a server, and the tools around it. Flags beat the environment, which beats the file that --config names: --memory 1GiB is " +
		"DECKLE_MEMORY=1GiB, or memory: 1GiB in the file, or the content of a file that DECKLE_MEMORY_FILE names. deckle COMMAND --help says the same as this page.")
	p.line(`.SH COMMANDS`)
	var settings []*kong.Flag
	for _, c := range leaves(program) {
		if c.Name == "serve" {
			settings = c.Flags
		}
	}
	for _, c := range leaves(program) {
		p.command(c, settings)
	}
	p.line(`.SH EXIT STATUS`)
	for _, code := range slices.Sorted(maps.Keys(exitMeanings)) {
		p.entry(fmt.Sprint(code), exitMeanings[code])
	}
	p.text("A server that is told to stop by SIGTERM or SIGINT drains and exits with 0.")
	p.line(`.SH EXAMPLES`, `.nf`)
	for _, line := range examples[""] {
		p.line(`\&` + escaped(line))
	}
	p.line(`.fi`)
	return p.String()
}

// leaves are the commands below a node that can be run; what is hidden stays so.
func leaves(node *kong.Node) (all []*kong.Node) {
	for _, c := range node.Children {
		switch {
		case c.Hidden:
		case len(c.Children) > 0:
			all = append(all, leaves(c)...)
		default:
			all = append(all, c)
		}
	}
	return all
}

// page is a text of man(7).
type page struct{ strings.Builder }

// line writes lines as they are.
func (p *page) line(lines ...string) {
	for _, l := range lines {
		p.WriteString(l + "\n")
	}
}

// text writes words in lines of a length that people read.
func (p *page) text(words string) {
	const most = 78
	line := ""
	for word := range strings.FieldsSeq(words) {
		word = escaped(word)
		if line != "" && len(line)+1+len(word) > most {
			p.line(line)
			line = ""
		}
		switch {
		case line != "":
			line += " " + word
		case word[0] == '.' || word[0] == '\'': // at the beginning of a line it would be a request
			line = `\&` + word
		default:
			line = word
		}
	}
	p.line(line)
}

// entry writes a term and what it means.
func (p *page) entry(term, means string) {
	p.line(`.TP`, `.B `+escaped(term))
	p.text(means)
}

// command writes what one command takes. Those flags of the server that another command takes as a whole are told of once.
func (p *page) command(c *kong.Node, settings []*kong.Flag) {
	typed := "deckle " + strings.TrimPrefix(c.FullPath(), "deckle ")
	for _, argument := range c.Positional {
		typed += " " + argument.Summary()
	}
	p.line(`.SS ` + escaped(typed))
	p.text(c.Help)
	for _, argument := range c.Positional {
		if argument.Help != "" {
			p.entry(argument.Summary(), argument.Help)
		}
	}
	shared := func(f *kong.Flag) bool {
		return slices.ContainsFunc(settings, func(s *kong.Flag) bool { return s != f && s.Name == f.Name && s.Help == f.Help })
	}
	own := slices.DeleteFunc(slices.Clone(c.Flags), func(f *kong.Flag) bool { return f.Hidden || shared(f) })
	for _, f := range own {
		p.flag(f)
	}
	if common := len(c.Flags) - len(own); common > len(settings)/2 {
		p.line(`.PP`)
		p.text("And the settings of deckle serve.")
	} else {
		for _, f := range c.Flags {
			if shared(f) && !f.Hidden {
				p.flag(f)
			}
		}
	}
}

func (p *page) flag(f *kong.Flag) {
	term := "--" + f.Name
	if f.Negated || f.Tag.Negatable != "" {
		term = "--[no-]" + f.Name
	}
	if f.Short != 0 {
		term = "-" + string(f.Short) + ", " + term
	}
	if !f.IsBool() {
		term += "=" + strings.Trim(f.FormatPlaceHolder(), `"`)
	}
	p.entry(term, f.Help)
}

// escaped spells text so that troff changes nothing in it.
func escaped(text string) string {
	return strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", "\\(ga", `^`, `\(ha`, `~`, `\(ti`, `"`, `\(dq`).Replace(text)
}
