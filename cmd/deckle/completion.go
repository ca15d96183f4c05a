package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand prints what has a shell complete commands and flags.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell: bash, zsh or fish."`
}

// Run prints the script.
func (c *completionCommand) Run(stdout io.Writer, k *kong.Context) error {
	write := map[string]func([]completion) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	_, err := io.WriteString(stdout, write(completions(k.Model.Node, "")))
	return err
}

// completion is what may follow one command.
type completion struct {
	path     string // of the command, as in "key create"; empty for the program itself
	commands []word
	flags    []word
}

// word is one thing to complete to.
type word struct {
	text, help string
	values     []string // of a flag, where they are known
	takes      bool     // it has a value
}

// completions lists a command and all below it. What is hidden stays so.
func completions(node *kong.Node, path string) []completion {
	here := completion{path: path}
	var below []completion
	for _, child := range node.Children {
		if child.Hidden {
			continue
		}
		here.commands = append(here.commands, word{text: child.Name, help: child.Help})
		below = append(below, completions(child, strings.TrimSpace(path+" "+child.Name))...)
	}
	flags := node.Flags
	if node.DefaultCmd != nil {
		flags = append(flags[:len(flags):len(flags)], node.DefaultCmd.Flags...)
	}
	for _, flag := range flags {
		if flag.Hidden {
			continue
		}
		w := word{text: "--" + flag.Name, help: flag.Help, takes: !flag.IsBool()}
		if flag.Enum != "" {
			w.values = strings.Split(flag.Enum, ",")
		}
		here.flags = append(here.flags, w)
		if flag.Negated || flag.Tag.Negatable != "" {
			here.flags = append(here.flags, word{text: "--no-" + flag.Name, help: "Not: " + flag.Help})
		}
	}
	if path != "" {
		here.flags = append(here.flags, word{text: "--help", help: "Show help."})
	}
	return append([]completion{here}, below...)
}

func texts(words []word) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = w.text
	}
	return strings.Join(all, " ")
}

// walkScript is what bash and zsh have in common: it finds the command among the words before the one to complete, which are
// numbered from first up to, and without, last.
func walkScript(all []completion, words, first, last string) string {
	var known []string
	for _, c := range all[1:] {
		known = append(known, fmt.Sprintf("%q", c.path))
	}
	return fmt.Sprintf(`	for ((i = %s; i < %s; i++)); do
		word="${at:+$at }${%s[i]}"
		case $word in
		%s) at=$word ;;
		esac
	done
`, first, last, words, strings.Join(known, "|"))
}

func bashCompletion(all []completion) string {
	var b strings.Builder
	b.WriteString("# deckle completion bash > /etc/bash_completion.d/deckle\n_deckle() {\n")
	b.WriteString("\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at= word list= i\n")
	b.WriteString(walkScript(all, "COMP_WORDS", "1", "COMP_CWORD"))
	b.WriteString("\tcase \"$at $prev\" in\n")
	for _, c := range all {
		for _, f := range c.flags {
			if len(f.values) > 0 {
				fmt.Fprintf(&b, "\t%q) COMPREPLY=($(compgen -W %q -- \"$cur\")); return ;;\n", c.path+" "+f.text, strings.Join(f.values, " "))
			}
		}
	}
	b.WriteString("\tesac\n\tcase $at in\n")
	for _, c := range all {
		fmt.Fprintf(&b, "\t%q)\n\t\tif [[ $cur == -* ]]; then list=%q; else list=%q; fi ;;\n", c.path, texts(c.flags), texts(c.commands))
	}
	b.WriteString(`	esac
	COMPREPLY=($(compgen -W "$list" -- "$cur"))
	if [[ $cur != -* && ${#COMPREPLY[@]} -eq 0 ]]; then COMPREPLY=($(compgen -f -- "$cur")); fi
}
complete -o filenames -F _deckle deckle
`)
	return b.String()
}

func zshCompletion(all []completion) string {
	var b strings.Builder
	b.WriteString("#compdef deckle\n# deckle completion zsh > \"${fpath[1]}/_deckle\"\n_deckle() {\n\tlocal at= word i\n\tlocal -a list\n")
	b.WriteString(walkScript(all, "words", "2", "CURRENT"))
	b.WriteString("\tcase $at in\n")
	for _, c := range all {
		fmt.Fprintf(&b, "\t%q)\n", c.path)
		fmt.Fprintf(&b, "\t\tif [[ ${words[CURRENT]} == -* ]]; then list=(%s); else list=(%s); fi ;;\n", zshWords(c.flags), zshWords(c.commands))
	}
	b.WriteString(`	esac
	if [[ ${words[CURRENT]} == -* ]]; then _describe -o option list; return; fi
	if (( ${#list} )); then _describe command list; else _files; fi
}
if [[ ${funcstack[1]} == _deckle ]]; then _deckle "$@"; else compdef _deckle deckle; fi
`)
	return b.String()
}

// zshWords spells words with their help for zsh.
func zshWords(words []word) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = quoted(strings.ReplaceAll(w.text, ":", `\:`) + ":" + firstSentence(w.help))
	}
	return strings.Join(all, " ")
}

func fishCompletion(all []completion) string {
	var b strings.Builder
	b.WriteString("# deckle completion fish > ~/.config/fish/completions/deckle.fish\n")
	for _, c := range all {
		when := "__fish_use_subcommand"
		if c.path != "" {
			var seen []string
			for name := range strings.FieldsSeq(c.path) {
				seen = append(seen, "__fish_seen_subcommand_from "+name)
			}
			if len(c.commands) > 0 {
				seen = append(seen, "not __fish_seen_subcommand_from "+texts(c.commands))
			}
			when = strings.Join(seen, "; and ")
		}
		for _, w := range c.commands {
			fmt.Fprintf(&b, "complete -c deckle -f -n %s -a %s -d %s\n", quoted(when), w.text, quoted(firstSentence(w.help)))
		}
		for _, w := range c.flags {
			fmt.Fprintf(&b, "complete -c deckle -n %s -l %s -d %s", quoted(when), strings.TrimPrefix(w.text, "--"), quoted(firstSentence(w.help)))
			switch {
			case len(w.values) > 0:
				fmt.Fprintf(&b, " -x -a %s", quoted(strings.Join(w.values, " ")))
			case w.takes:
				b.WriteString(" -r")
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// quoted quotes text for a shell; help has no use for apostrophes.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "") + "'" }

// firstSentence is enough for a list.
func firstSentence(help string) string {
	sentence, _, _ := strings.Cut(help, ". ")
	sentence, _, _ = strings.Cut(sentence, ": ")
	return strings.ReplaceAll(strings.TrimSuffix(sentence, "."), `\`, "")
}
