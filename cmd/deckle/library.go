package main

import (
	"deckle/admin"
	"deckle/catalog"
	"deckle/origin"
)

// library is what the operations below /images work with. The URL in a record is signed where viewers need that.
func (n *node) library(records *catalog.Catalog, files origin.Reader) *admin.Images {
	signed, views := n.privacy.signed, n.views(n.privacy)
	return &admin.Images{Records: records, Deposits: n.uploads, Files: files, View: func(path string, private bool) string {
		if !private && !signed.Reads && len(signed.Private) == 0 {
			return path
		}
		view, err := views.ViewPath(path)
		if err != nil {
			return path
		}
		return view
	}}
}
