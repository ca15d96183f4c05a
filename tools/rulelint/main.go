// Command rulelint reads alert rules and dashboards with Prometheus' own parsers. It is a module of its own, so that what it needs
// stays out of the product.
//
//	rulelint FILE...
//
// A YAML file is one of rules, a JSON file is a dashboard, whose expressions are read. It prints what is wrong and exits with 1.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	failed := false
	for _, name := range os.Args[1:] {
		for _, err := range check(name) {
			failed = true
			_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		}
	}
	if failed || len(os.Args) < 2 {
		os.Exit(1)
	}
}

func check(name string) []error {
	if strings.HasSuffix(name, ".json") {
		return checkDashboard(name)
	}
	groups, errs := rulefmt.ParseFile(name, false, model.UTF8Validation)
	if len(errs) == 0 && len(groups.Groups) == 0 {
		errs = append(errs, fmt.Errorf("there are no rules"))
	}
	return errs
}

// checkDashboard reads the expressions of all panels, with Grafana's variables filled in.
func checkDashboard(name string) (errs []error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return []error{err}
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		return []error{err}
	}
	fill := strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$instance", ".*")
	read := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			read++
			if _, err := parser.ParseExpr(fill.Replace(target.Expr)); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", panel.Title, err))
			}
		}
	}
	if read == 0 {
		errs = append(errs, fmt.Errorf("there are no expressions"))
	}
	return errs
}
