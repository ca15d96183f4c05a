package signature

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// secretName matches names that hold something secret, or are made of it.
var secretName = regexp.MustCompile(`(?i)(secret|token|signature|password|apikey|^mac$|^digest$|^hash$)`)

// TestConstantTime looks for comparisons of secrets whose time says how much of one was guessed (TRUST.md threat 17), in the
// packages that hold secrets. To compare with nothing, and to compare lengths, is no such thing.
func TestConstantTime(t *testing.T) {
	looked := 0
	for _, folder := range []string{".", "../admin", "../ingest"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			looked++
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range leaky(file) {
				t.Errorf("%s: a secret is compared in a time that depends on it; use hmac.Equal or crypto/subtle", fset.Position(found.Pos()))
			}
		}
	}
	if looked < 10 {
		t.Errorf("only %d files were looked at", looked)
	}
}

// TestLeaky holds the search itself.
func TestLeaky(t *testing.T) {
	for expression, want := range map[string]int{
		`token == known`: 1, `r.Secret != "x"`: 1, `bytes.Equal(mac, sent)`: 1, `strings.Compare(a, apiKey) == 0`: 1, `slices.Contains(secrets, s)`: 1,
		`strings.EqualFold(password, p)`: 1, `token == ""`: 0, `"" != secret`: 0, `len(token) == 4`: 0, `secret == nil`: 0, `hmac.Equal(mac, sent)`: 0, `a == b`: 0,
		`string(digest) == s`: 1, `len(secrets) > 1`: 0,
	} {
		parsed, err := parser.ParseExpr(expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(leaky(parsed)); got != want {
			t.Errorf("%s: %d found, want %d", expression, got, want)
		}
	}
}

// leaky lists the comparisons below n that take part of a secret's time.
func leaky(n ast.Node) (found []ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch e := n.(type) {
		case *ast.BinaryExpr:
			if (e.Op == token.EQL || e.Op == token.NEQ) && !empty(e.X) && !empty(e.Y) && (isSecret(e.X) || isSecret(e.Y)) {
				found = append(found, e)
			}
		case *ast.CallExpr:
			called, ok := e.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from, ok := called.X.(*ast.Ident)
			if !ok || from.Name != "bytes" && from.Name != "strings" && from.Name != "slices" {
				return true
			}
			switch called.Sel.Name {
			case "Equal", "EqualFold", "Compare", "Contains", "Index", "HasPrefix":
				for _, argument := range e.Args {
					if isSecret(argument) {
						found = append(found, e)
						break
					}
				}
			}
		}
		return true
	})
	return found
}

// empty tells expressions that say nothing about a secret but whether there is one.
func empty(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Value == `""` || e.Value == "``"
	case *ast.Ident:
		return e.Name == "nil"
	}
	return false
}

func isSecret(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return secretName.MatchString(e.Name) && !strings.HasPrefix(e.Name, "name")
	case *ast.SelectorExpr:
		return isSecret(e.Sel)
	case *ast.IndexExpr:
		return isSecret(e.X)
	case *ast.SliceExpr:
		return isSecret(e.X)
	case *ast.CallExpr: // a conversion; of a length nothing is learnt
		called, ok := e.Fun.(*ast.Ident)
		return ok && called.Name == "string" && len(e.Args) == 1 && isSecret(e.Args[0])
	}
	return false
}
