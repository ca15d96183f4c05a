// Package deckle holds the rules of the tree as tests: who may import whom, that every package says what it owns, and how
// long a file and a function may be.
package deckle

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The limits of a file and of a function, lines.
const (
	maxFile     = 500
	maxFunction = 60
)

// mayImport lists what a package may import of the tree, its own parent aside. Test files may import the test packages too.
// What is not listed is forbidden.
var mayImport = map[string][]string{
	"proxy":               {"cache", "origin", "transform", "fleet", "signature", "ingest"},
	"admin":               {"proxy", "ingest", "catalog", "cache", "origin", "transform", "fleet", "signature", "event", "auth", "filter", "archive"},
	"ingest":              {"origin", "transform", "cache", "catalog", "fleet", "event", "signature", "label"},
	"bench":               {"internal/testimage"},
	"archive":             nil,
	"auth":                nil,
	"cache":               nil,
	"origin":              nil,
	"transform":           nil,
	"catalog":             {"filter"},
	"catalog/sqlite":      {"filter"}, // registers the functions that filters need
	"catalog/postgres":    {"filter"},
	"event":               nil,
	"filter":              nil,
	"internal/testimage":  nil,
	"internal/testclock":  nil,
	"label":               nil,
	"internal/testserver": nil,
}

// onlyIn says which packages alone may import a library.
var onlyIn = map[string][]string{
	"github.com/valyala/fasthttp":         {"proxy", "cmd", "bench"},
	"github.com/cshum/vipsgen":            {"transform/vips"},
	"github.com/dgraph-io/ristretto":      {"cache/memory", "transform/pool"},
	"github.com/redis/go-redis":           {"cache/redis", "fleet/redis"},
	"github.com/aws/aws-sdk-go-v2":        {"cache/s3", "origin/s3", "label/rekognition"},
	"github.com/coreos/go-oidc":           {"auth/oidc"},
	"github.com/go-jose/go-jose":          {"auth/oidc"},
	"modernc.org/sqlite":                  {"catalog/sqlite"},
	"github.com/jackc/pgx":                {"catalog/postgres", "internal/testserver"},
	"github.com/prometheus/client_golang": {"admin", "cmd"},
	"go.opentelemetry.io/otel":            {"admin", "cmd"},
	"C":                                   {"transform/vips"},
}

// source is one Go file of the tree, read.
type source struct {
	path, folder string // slash-separated, from the root of the tree
	test         bool
	file         *ast.File
	fset         *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || entry.Name() == "data") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		folder := "."
		if slash := strings.LastIndexByte(path, '/'); slash >= 0 {
			folder = path[:slash]
		}
		all = append(all, source{path, folder, strings.HasSuffix(path, "_test.go"), file, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d Go files were found; the walk is broken", len(all))
	}
	return all
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		for _, imported := range s.file.Imports {
			path := strings.Trim(imported.Path.Value, `"`)
			if reason := forbidden(s, path); reason != "" {
				t.Errorf("%s imports %s: %s", s.path, path, reason)
			}
		}
	}
}

// forbidden returns why s may not import path; empty when it may.
func forbidden(s source, path string) string {
	for library, folders := range onlyIn {
		if path != library && !strings.HasPrefix(path, library+"/") {
			continue
		}
		if !s.test && !slices.ContainsFunc(folders, func(f string) bool { return within(s.folder, f) }) {
			return "only " + strings.Join(folders, " and ") + " may"
		}
	}
	target, ours := strings.CutPrefix(path, "deckle/")
	if !ours || within(s.folder, "cmd") || s.folder == target {
		return ""
	}
	if s.test || isTestPackage(s.folder) {
		return "" // tests join what the product keeps apart
	}
	if slices.Contains(mayImport[s.folder], target) {
		return ""
	}
	if parent, _, nested := cutLast(s.folder); nested && parent == target {
		return ""
	}
	if _, listed := mayImport[s.folder]; listed {
		return "the package may import " + strings.Join(mayImport[s.folder], ", ") + " of this tree and nothing else"
	}
	return "a package below another may import its parent only"
}

// isTestPackage tells the packages that hold laws for tests, and nothing of the product.
func isTestPackage(folder string) bool {
	name := folder[strings.LastIndexByte(folder, '/')+1:]
	return strings.HasSuffix(name, "test") || folder == "internal/testserver"
}

func within(folder, root string) bool { return folder == root || strings.HasPrefix(folder, root+"/") }

func cutLast(path string) (parent, name string, nested bool) {
	slash := strings.LastIndexByte(path, '/')
	if slash < 0 {
		return "", path, false
	}
	return path[:slash], path[slash+1:], true
}

// TestForbidden holds the rules themselves: each of these must be refused or let through.
func TestForbidden(t *testing.T) {
	tests := []struct {
		folder, imports string
		refused         bool
	}{
		{"cache", "deckle/origin", true},
		{"cache/redis", "deckle/cache", false},
		{"cache/redis", "deckle/cache/s3", true},
		{"transform", "deckle/transform/vips", true},
		{"proxy", "deckle/cache", false},
		{"proxy", "deckle/catalog", true},
		{"proxy", "deckle/transform/vips", true},
		{"admin", "github.com/valyala/fasthttp", true},
		{"cmd/deckle", "deckle/transform/vips", false},
		{"cmd/deckle", "modernc.org/sqlite", true},
		{"transform/vips", "github.com/cshum/vipsgen/vips816", false},
		{"proxy", "github.com/cshum/vipsgen/vips816", true},
		{"origin", "C", true},
		{"bench", "deckle/proxy", true},
	}
	for _, test := range tests {
		reason := forbidden(source{path: test.folder + "/x.go", folder: test.folder}, test.imports)
		if (reason != "") != test.refused {
			t.Errorf("%s imports %s: %q, want refused %v", test.folder, test.imports, reason, test.refused)
		}
	}
}

func TestPackageComments(t *testing.T) {
	comments := map[string]int{}
	for _, s := range sources(t) {
		if s.test && s.folder != "." {
			continue
		}
		if _, seen := comments[s.folder]; !seen {
			comments[s.folder] = 0
		}
		if s.file.Doc != nil {
			comments[s.folder]++
		}
	}
	for folder, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d package comments, want 1 that says what it owns", folder, n)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		text, err := os.ReadFile(s.path)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(text), "\n"); lines > maxFile {
			t.Errorf("%s has %d lines, more than %d: split it by subject", s.path, lines, maxFile)
		}
		if s.test {
			continue // tables of cases are as long as they are
		}
		for _, declared := range s.file.Decls {
			function, ok := declared.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := s.fset.Position(function.End()).Line - s.fset.Position(function.Pos()).Line + 1
			if lines > maxFunction {
				t.Errorf("%s: %s has %d lines, more than %d", s.path, function.Name.Name, lines, maxFunction)
			}
		}
	}
}
