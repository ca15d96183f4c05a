package catalog_test

import (
	"fmt"
	"testing"
	"time"

	"deckle/catalog"
	"deckle/catalog/catalogtest"
)

// TestPlans holds that each way to answer a query answers the same, on both databases.
func TestPlans(t *testing.T) {
	for _, s := range []store{sqliteStore(t), postgresStore(t)} {
		t.Run(s.name, func(t *testing.T) {
			catalogtest.RunPlans(t, s.Catalog, map[string]func(*catalog.Catalog){
				"usual": func(c *catalog.Catalog) { c.Limit() },
				// total, look, probed, set, few, all, walk, verify, terms, rows
				"everything is met":       func(c *catalog.Catalog) { c.Limit(10_000, 10_000, 0, 1000, 1000, 1000, 1000, 100, 100, 500) },
				"everything is looked up": func(c *catalog.Catalog) { c.Limit(10_000, 10_000, 1000, 0, 1000, 0, 1000, 100, 100, 500) },
				"walked in small steps":   func(c *catalog.Catalog) { c.Limit(10_000, 10_000, 0, 1000, 0, 0, 7, 3, 4, 3) },
				"walked in large steps":   func(c *catalog.Catalog) { c.Limit(10_000, 10_000, 0, 0, 0, 0, 1000, 100, 100, 500) },
				"met, or walked":          func(c *catalog.Catalog) { c.Limit(10_000, 10_000, 2, 60, 12, 30, 50, 10, 5, 20) },
				"met, if they are few":    func(c *catalog.Catalog) { c.Limit(10_000, 10_000, 0, 1000, 3, 0, 50, 10, 5, 20) },
				"little is counted":       func(c *catalog.Catalog) { c.Limit(10, 7, 5, 20, 10, 5, 20, 5, 5, 10) },
				"one of everything":       func(c *catalog.Catalog) { c.Limit(1, 1, 1, 1, 1, 1, 1, 1, 1, 1) },
			})
			t.Run("many words of one record", func(t *testing.T) { testManyWords(t, s.Catalog) })
		})
	}
}

// testManyWords holds that records count, not their words, where what several words find is met.
func testManyWords(t *testing.T, c *catalog.Catalog) {
	for i, name := range []string{"quag quagga sedge", "quagmire sedge", "quagmire sedge", "quagmire sedge", "sedge", "sedge", "sedge"} {
		r := catalog.Record{ID: fmt.Sprint("quagga", i), Version: "v", Format: "png", Updated: time.Now(), Name: name}
		_, err := c.Settle(t.Context(), time.Now(), catalog.Step{Put: &r})
		must(t, err)
	}
	c.Limit(10_000, 10_000, 0, 1000, 2, 0, 50, 10, 5, 20)
	page, err := c.Find(t.Context(), catalog.Query{Search: "quag sedge"})
	if err != nil || len(page.Records) != 4 || page.Total != 4 {
		t.Errorf("found %d, total %d, %v, want 4", len(page.Records), page.Total, err)
	}
}
