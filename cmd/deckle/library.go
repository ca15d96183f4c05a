package main

import (
	"net/http"
	"net/url"
	"time"

	"deckle/admin"
	"deckle/catalog"
	"deckle/origin"
)

// viewLifetime is how long a URL is good that a record names, where viewers need a signature.
const viewLifetime = time.Hour

// library is what the operations below /images work with.
func (n *node) library(records *catalog.Catalog, files origin.Reader) *admin.Images {
	images := &admin.Images{Records: records, Deposits: n.uploads, Files: files}
	signed := n.config.signed
	if signed.Verifier == nil {
		return images
	}
	images.View = func(path string, private bool) string {
		plain, err := url.PathUnescape(path)
		if !private && !signed.Reads && len(signed.Private) == 0 || err != nil {
			return path
		}
		return path + "?" + signed.Verifier.Query(http.MethodGet, plain, "", time.Now().Add(viewLifetime))
	}
	return images
}
