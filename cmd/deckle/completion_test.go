package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// commandLine returns the parser of the command line, which reads neither environment nor file.
func commandLine(t *testing.T) *kong.Kong {
	t.Helper()
	k, err := kong.New(&cli{}, kong.Name("deckle"), kong.Exit(func(int) {}), kong.Writers(io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	teach(k.Model.Node, "")
	return k
}

// commands lists the commands that can be run, as they are typed.
func commands(t *testing.T) (all []completion) {
	t.Helper()
	for _, c := range completions(commandLine(t).Model.Node, "") {
		if c.path != "" && len(c.commands) == 0 {
			all = append(all, c)
		}
	}
	return all
}

// TestCommands: what DESIGN.md section 6 lists is there, and every command's help has examples.
func TestCommands(t *testing.T) {
	var have []string
	for _, c := range commands(t) {
		if c.path == "replay" || c.path == "renderer" {
			t.Errorf("deckle %s is hidden", c.path)
		}
		have = append(have, c.path)
		if len(examples[c.path]) == 0 {
			t.Errorf("deckle %s --help has no example", c.path)
		}
	}
	for _, name := range []string{"serve", "render", "token", "sign", "secret", "purge", "warm", "explain", "bench run", "export", "import", "healthcheck", "version"} {
		if !slices.Contains(have, name) {
			t.Errorf("there is no deckle %s", name)
		}
	}
	code, stdout, _ := command("render", "--help")
	if code != exitOK || !strings.Contains(stdout, "--match '*.png'") || !strings.Contains(stdout, "Exits with 0") {
		t.Errorf("%d %s", code, stdout)
	}
}

// TestHelpShowsDefaults: kong shows a placeholder in the place of a default, so that no flag may have both.
func TestHelpShowsDefaults(t *testing.T) {
	var walk func(*kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			if f.HasDefault && !f.IsBool() && f.PlaceHolder != "" {
				t.Errorf("%s --%s: the help does not show its default, %s", n.FullPath(), f.Name, f.Default)
			}
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(commandLine(t).Model.Node)
}

// TestExamples has a shell split every example, and our parser read it. Each is shown for the command that it calls.
func TestExamples(t *testing.T) {
	for path, lines := range examples {
		for _, line := range lines {
			typed, _, _ := strings.Cut(line, " > ")
			words, err := exec.Command("bash", "-c", `deckle() { printf '%s\n' "$@"; }; `+typed).Output()
			if err != nil {
				t.Fatal(err)
			}
			args := strings.Split(strings.TrimSpace(string(words)), "\n")
			context, err := commandLine(t).Parse(args)
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			if called := context.Command(); path != "" && called != path && !strings.HasPrefix(called, path+" ") {
				t.Errorf("%s, shown for %s, calls %s", line, path, called)
			}
		}
	}
}

// TestCommandDocument holds docs/cli.md to the commands and to the exit codes that main.go declares.
func TestCommandDocument(t *testing.T) {
	text := document(t, "cli.md")
	want := []string{"| command | what it does |", "|---|---|"}
	for _, c := range commands(t) {
		node := commandLine(t).Model.Node
		for name := range strings.FieldsSeq(c.path) {
			node = node.Children[slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == name })]
		}
		typed := "deckle " + c.path
		for _, p := range node.Positional {
			typed += " " + p.Summary()
		}
		want = append(want, fmt.Sprintf("| `%s` | %s |", typed, node.Help))
	}
	if got := between(t, text, "commands"); !slices.Equal(got, want) {
		t.Errorf("docs/cli.md has\n%s\nthe program has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var declared []string
	for _, value := range exitConstants(t) {
		code, _ := strconv.Atoi(value)
		declared = append(declared, fmt.Sprintf("| %s | %s |", value, exitMeanings[code]))
	}
	if documented := between(t, text, "exit codes")[2:]; !slices.Equal(documented, declared) {
		t.Errorf("docs/cli.md has exit codes %v, the program %v", documented, declared)
	}
}

// exitConstants are the values of the constants named exit... in main.go.
func exitConstants(t *testing.T) (values []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "exit") {
			values = append(values, spec.Values[0].(*ast.BasicLit).Value)
		}
		return true
	})
	return values
}

// TestExitCodes has each code happen.
func TestExitCodes(t *testing.T) {
	for _, test := range []struct {
		args []string
		want int
	}{
		{[]string{"secret"}, exitOK},
		{[]string{"--help"}, exitOK},
		{[]string{"explain", "/cat_1_1.webp?fit=never"}, exitFailed},
		{[]string{"healthcheck", "--admin", "http://127.0.0.1:1"}, exitFailed},
		{[]string{"nothing"}, exitUsage},
		{[]string{"serve", "--memory", "lots"}, exitUsage},
		{[]string{"render", t.TempDir(), "--outputs", "_1_1.webp"}, exitUsage},
	} {
		if code, _, stderr := command(test.args...); code != test.want {
			t.Errorf("%v: %d, want %d: %s", test.args, code, test.want, stderr)
		}
	}
}

// TestCompletion: the scripts know every command and flag, and bash, which is there, completes by its own.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		code, script, stderr := command("completion", shell)
		if code != exitOK {
			t.Fatalf("%d %s", code, stderr)
		}
		for _, c := range commands(t) {
			for _, w := range c.flags {
				name := strings.TrimPrefix(w.text, "--")
				if !regexp.MustCompile(`(--|-l )` + name + `\b`).MatchString(script) {
					t.Errorf("%s does not know --%s of %s", shell, name, c.path)
				}
			}
			for name := range strings.FieldsSeq(c.path) {
				if !regexp.MustCompile(`\b` + name + `\b`).MatchString(script) {
					t.Errorf("%s does not know %s", shell, c.path)
				}
			}
		}
	}
	_, script, _ := command("completion", "bash")
	for typed, want := range map[string]string{
		"deckle re":                   "render",
		"deckle key c":                "create",
		"deckle key create --sc":      "--scopes",
		"deckle --memo":               "--memory --memory-limit",
		"deckle purge --pre":          "--prefix",
		"deckle serve --no-iso":       "--no-isolate",
		"deckle completion z":         "",
		"deckle serve --access-l":     "--access-log",
		"deckle serve --access-log e": "errors",
	} {
		words := strings.Fields(typed)
		run := exec.Command("bash", "-c", script+`
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); cd /; _deckle; echo "${COMPREPLY[@]}"`, "bash")
		run.Args = append(run.Args, words...)
		said, err := run.CombinedOutput()
		if got := string(bytes.TrimSpace(said)); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", typed, got, err, want)
		}
	}
}
