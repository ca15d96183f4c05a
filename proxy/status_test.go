package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deckle/ingest"
	"deckle/origin"
	"deckle/transform"
)

// TestEveryErrorHasARow reads the packages whose errors reach the edge and looks each exported sentinel up in the table.
func TestEveryErrorHasARow(t *testing.T) {
	table, err := os.ReadFile("status.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range []string{"cache", "origin", "transform", "ingest", "fleet", "signature"} {
		files, err := filepath.Glob(filepath.Join("..", name, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			for _, sentinel := range sentinels(t, path) {
				found++
				if !strings.Contains(string(table), "{err: "+name+"."+sentinel+",") {
					t.Errorf("%s.%s has no row in status.go", name, sentinel)
				}
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d sentinels were found; the search is broken", found)
	}
}

func sentinels(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, declared := range file.Decls {
		group, ok := declared.(*ast.GenDecl)
		if !ok || group.Tok != token.VAR {
			continue
		}
		for _, spec := range group.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				if strings.HasPrefix(name.Name, "Err") {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

func TestStatusOf(t *testing.T) {
	secret := errors.New("open /srv/secret/cat: permission denied")
	tests := []struct {
		err    error
		status int
		detail string
	}{
		{secret, 500, "The server's log says what."},
		{fmt.Errorf("stat: %w: %w", origin.ErrUnavailable, secret), 503, "cannot be reached"},
		{fmt.Errorf("stat: %w", origin.ErrNotFound), 404, "no picture"},
		{fmt.Errorf("%w: %w: status 501", ingest.ErrSourceFailed, origin.ErrUnavailable), 502, "The source URL could not be fetched"},
		{fmt.Errorf("%w: %w", ingest.ErrAborted, fmt.Errorf("%w: %w", ingest.ErrSourceFailed, origin.ErrUnavailable)), 502, "The source URL could not be fetched"},
		{fmt.Errorf("%w: %w", ingest.ErrSourceSlow, context.DeadlineExceeded), 504, "The source URL could not be fetched"},
		{fmt.Errorf("%w: %w", ingest.ErrSourceMissing, origin.ErrNotFound), 404, "nothing at the source URL"},
		{fmt.Errorf("%w: %w: the limit is 9 bytes", ingest.ErrAborted, origin.ErrTooLarge), 413, "more bytes"},
		{fmt.Errorf("%w: the source is 9x9 pixels", transform.ErrLimit), 413, "The source is 9x9 pixels."},
		{fmt.Errorf("render: %w", transform.ErrMalformed), 422, "broken"},
		{&transform.SpecError{Option: "fit", Value: "corp", Hint: "did you mean crop?"}, 400, "did you mean crop?"},
	}
	for _, test := range tests {
		status, body := StatusOf(test.err)
		var p problem
		if err := json.Unmarshal(body, &p); err != nil {
			t.Fatal(err)
		}
		if status != test.status || p.Status != test.status || !strings.Contains(p.Detail, test.detail) {
			t.Errorf("%v: %d %s", test.err, status, body)
		}
		if strings.Contains(string(body), "secret") {
			t.Errorf("%v: the cause is told to the client: %s", test.err, body)
		}
	}
}
