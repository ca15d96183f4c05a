package main

import "deckle/admin"

// archiveSettings bound what is imported.
type archiveSettings struct {
	ImportMax string `default:"20GiB" help:"Largest archive that is imported; it is kept under the data directory while it is read."`
}

// resolve returns the bound, bytes.
func (s *archiveSettings) resolve(r *reader) int64 { return r.bytes("import-max", s.ImportMax) }

// archives are what exports and imports work with. What is under way is kept in files of the data directory that have no name.
func (n *node) archives() *admin.Archives {
	c := n.config
	return &admin.Archives{Sources: n.uploads, Dir: c.data, MaxBytes: c.importMax, PictureBytes: c.limits.SourceBytes}
}
