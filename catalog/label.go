package catalog

import (
	"context"
	"database/sql"
	"slices"
	"strings"
)

// Label is something that a picture shows, as a machine says.
type Label struct {
	Name       string
	Category   string  `json:",omitempty"` // "object", "face", "colour" and the like
	Confidence float64 // 0-100
	Source     string  `json:",omitempty"` // who says so
}

// SetLabels lets labels take the place of those that source gave to this version of a picture; their Source is not read.
// ErrNotFound when the version is not the record's, or no longer. Of two with one name and category the surer one counts.
func (c *Catalog) SetLabels(ctx context.Context, id, version, source string, labels []Label) error {
	return fault("set labels", c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		former, err := one(queryRecords(ctx, tx, `SELECT `+recordColumns+` FROM records WHERE id = $1 AND version = $2`+c.forUpdate(), id, version))
		if err != nil {
			return err
		}
		if former == nil {
			return ErrNotFound
		}
		kept := slices.DeleteFunc(slices.Clone(former.Labels), func(l Label) bool { return l.Source == source })
		for _, l := range labels {
			l.Source = source
			kept = append(kept, l)
		}
		if err := putLabels(ctx, tx, id, kept); err != nil {
			return err
		}
		page := []Record{*former}
		if err := fillLabels(ctx, tx, page); err != nil {
			return err
		}
		return index(ctx, tx, former, page[0])
	}))
}

// putLabels lets labels be those of a record.
func putLabels(ctx context.Context, tx *sql.Tx, id string, labels []Label) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM record_labels WHERE record = $1`, id); err != nil {
		return err
	}
	for _, l := range labels {
		_, err := tx.ExecContext(ctx, `INSERT INTO record_labels (record, source, category, name, confidence) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (record, source, category, name) DO UPDATE SET confidence =
			CASE WHEN excluded.confidence > record_labels.confidence THEN excluded.confidence ELSE record_labels.confidence END`,
			id, storable(l.Source), storable(l.Category), storable(l.Name), l.Confidence)
		if err != nil {
			return err
		}
	}
	return nil
}

// fillLabels gives the records of a page their labels, the surest first.
func fillLabels(ctx context.Context, db asker, page []Record) error {
	if len(page) == 0 {
		return nil
	}
	at := make(map[string]int, len(page))
	var q statement
	q.text(`SELECT record, source, category, name, confidence FROM record_labels WHERE record IN (`)
	for i := range page {
		page[i].Labels = nil
		at[page[i].ID] = i
		q.listed(i, page[i].ID)
	}
	q.text(`)`)
	err := eachRow(ctx, db, q.String(), q.args, func(rows *sql.Rows) error {
		var (
			id string
			l  Label
		)
		if err := rows.Scan(&id, &l.Source, &l.Category, &l.Name, &l.Confidence); err != nil {
			return err
		}
		r := &page[at[id]]
		r.Labels = append(r.Labels, l)
		return nil
	})
	for i := range page {
		slices.SortFunc(page[i].Labels, bySureness)
	}
	return err
}

func bySureness(a, b Label) int {
	switch {
	case a.Confidence > b.Confidence:
		return -1
	case a.Confidence < b.Confidence:
		return 1
	}
	return strings.Compare(a.Name+"\x00"+a.Category+"\x00"+a.Source, b.Name+"\x00"+b.Category+"\x00"+b.Source)
}
