package catalog

// meets tells selections that ask for several keys, or keys and an owner, and for nothing else but a time, and of which none has
// so few rows that the others need not be read. The index has the rows of each in the order of time.
func (c *Catalog) meets(q *selection) bool {
	if len(q.leads) < 2 || q.rows[q.lead] <= c.limits.probed {
		return false
	}
	for _, l := range q.leads {
		if l.by != byKey && l.by != byOwner || q.rows[l] > c.limits.set && q.rows[q.lead] <= c.limits.look {
			return false
		}
	}
	return q.others(q.leads...).plain()
}

// meet writes the statement of the rows that several conditions have in common, without its order. Of the statements of each,
// SQLite merges those that are sorted, and PostgreSQL chooses among hashing, merging and looking up.
func (c *Catalog) meet(s *statement, q *selection, leads []lead, columns string, o order, at []any) {
	by := []string{"time", "record"}
	arm := func(l lead) {
		s.text(`SELECT `, columns, ` FROM (`)
		c.leadRows(s, q, l)
		s.text(`) a`)
		if at != nil {
			s.text(` WHERE `)
			o.after(s, by, at)
		}
	}
	if c.dialect.Merge {
		for i, l := range leads {
			if i > 0 {
				s.text(` INTERSECT `)
			}
			arm(l)
		}
		return
	}
	s.text(`SELECT `, columns, ` FROM (`)
	arm(q.lead)
	s.text(`) a WHERE TRUE`)
	for _, l := range leads {
		if l != q.lead {
			s.text(` AND (`, columns, `) IN (`)
			arm(l)
			s.text(`)`)
		}
	}
}
