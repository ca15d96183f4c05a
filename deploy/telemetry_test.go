package deploy

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// metricTypes reads the table of docs/metrics.md, which a test of cmd/deckle holds to what a node has: types by name.
func metricTypes(t *testing.T) map[string]string {
	t.Helper()
	types := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(deckle_[a-z_]+)` \\| ([a-z]+) \\|").FindAllStringSubmatch(read(t, "../docs/metrics.md"), -1) {
		types[row[1]] = row[2]
	}
	if len(types) < 30 {
		t.Fatalf("docs/metrics.md lists %d metrics", len(types))
	}
	return types
}

// documentedValues are the values that labels have, from the same page.
func documentedValues(t *testing.T) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z]+)` \\| (`.*) \\|$").FindAllStringSubmatch(read(t, "../docs/metrics.md"), -1) {
		values[row[1]] = row[2]
	}
	return values
}

// expressions of a rule file and of a dashboard, by what they are for.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "prometheus/alerts.yaml")), &rules); err != nil {
		t.Fatal(err)
	}
	for _, group := range rules.Groups {
		for _, r := range group.Rules {
			if r.Alert == "" || all[r.Alert] != "" || r.Labels["severity"] != "page" && r.Labels["severity"] != "ticket" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%+v is no whole alert", r)
			}
			all[r.Alert] = r.Expr
		}
	}
	var dashboard struct {
		UID, Title string
		Panels     []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "grafana/deckle.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range dashboard.Panels {
		if seen[p.ID] || p.Title == "" || p.Type == "" || p.GridPos.X+p.GridPos.W > 24 || len(p.Targets) == 0 {
			t.Errorf("%+v is no whole panel", p)
		}
		seen[p.ID] = true
		for _, target := range p.Targets {
			all["panel "+p.Title+": "+target.Expr] = target.Expr
		}
	}
	if len(rules.Groups) == 0 || len(seen) < 10 {
		t.Errorf("%d groups, %d panels", len(rules.Groups), len(seen))
	}
	return all
}

var (
	named   = regexp.MustCompile(`\b(deckle_[a-z_]+)(\{[^}]*\})?(\[[^\]]*\])?`)
	matched = regexp.MustCompile(`([a-z]+)(=~|!~|!=|=)"([^"]*)"`)
)

// TestTelemetry: alerts and panels name metrics that there are, use them as what they are, and ask for values that labels have.
func TestTelemetry(t *testing.T) {
	types, values := metricTypes(t), documentedValues(t)
	used := map[string]bool{}
	for what, expression := range expressions(t) {
		for _, name := range named.FindAllStringSubmatch(expression, -1) {
			base, kind := name[1], types[name[1]]
			if kind == "" {
				base = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name[1], "")
				if kind = types[base]; kind != "histogram" {
					t.Errorf("%s: there is no metric %s", what, name[1])
					continue
				}
			} else if kind == "histogram" {
				t.Errorf("%s: %s is a histogram: want _bucket, _sum or _count", what, name[1])
			}
			used[base] = true
			ranged := name[3] != "" // read over a time, as counters are
			if ranged != (kind != "gauge") {
				t.Errorf("%s: %s is a %s", what, name[1], kind)
			}
			for _, m := range matched.FindAllStringSubmatch(name[2], -1) {
				for _, value := range strings.Split(m[3], "|") {
					known := m[1] == "job" || m[1] == "instance" || m[1] == "status" || strings.Contains(values[m[1]], "`"+value+"`")
					if !known {
						t.Errorf("%s: %s is never %q", what, m[1], value)
					}
				}
			}
		}
		if strings.Count(expression, "(") != strings.Count(expression, ")") {
			t.Errorf("%s: unbalanced", what)
		}
	}
	for _, name := range []string{"deckle_requests_total", "deckle_request_seconds", "deckle_tier_errors_total", "deckle_queue_depth", "deckle_renders_total"} {
		if !used[name] {
			t.Errorf("nobody looks at %s", name)
		}
	}
}
