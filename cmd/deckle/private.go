package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"deckle/admin"
	"deckle/proxy"
	"deckle/signature"
)

// secretName is the file under the data directory with the secret of a node that is given none.
const secretName = "secret"

// privacy is what a node needs to keep pictures private.
type privacy struct {
	signed proxy.Signed
	why    string // nothing can be private; empty when it can
}

// openPrivacy finds the secrets that the URLs of private pictures are signed with. A node alone that is given none makes one for
// itself; those of a fleet would each make another, so that they need to be given theirs. Where viewers are redirected to public
// copies nothing can be private.
func (n *node) openPrivacy() (p privacy, err error) {
	c := n.config
	p.signed = c.signed
	switch {
	case c.http.public != "":
		p.why = "viewers are redirected to public copies (--redirect)"
	case p.signed.Verifier != nil:
	case c.redis != nil:
		p.why = "its URLs could not be signed: set the same --signing-secrets on every node"
	default:
		p.signed.Verifier, err = ownSecret(filepath.Join(c.data, secretName), c.viewTime)
	}
	return p, err
}

// ownSecret reads the secret of a node alone, and makes it first where there is none.
func ownSecret(path string, maxAge time.Duration) (*signature.Verifier, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := makeSecret(path); err != nil {
			return nil, fmt.Errorf("make the signing secret: %w", err)
		}
	}
	v, err := signature.New(signature.Config{File: path, MaxAge: maxAge})
	if err != nil {
		return nil, fmt.Errorf("read the signing secret in the data directory: %w", err)
	}
	return v, nil
}

// makeSecret writes a secret, whole or not at all; of two processes that do so at one time the first one's counts.
func makeSecret(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+secretName+"-*") // its owner's only to read
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.WriteString("# Signs the URLs of private pictures. Keep it with the data; the first line that is no comment is the newest.\n" + signature.NewSecret(32) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// views are what operators do about private pictures.
func (n *node) views(p privacy) *admin.Private {
	views := &admin.Private{Sources: n.uploads, Base: n.config.api.edge.Base, MaxAge: n.config.viewTime}
	if p.signed.Verifier != nil {
		views.Sign = p.signed.Verifier.Query
	}
	return views
}
