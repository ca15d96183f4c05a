package main

import (
	"log/slog"
	"strings"
	"time"

	"deckle/origin"
	"deckle/proxy"
	"deckle/signature"

	"github.com/alecthomas/kong"
)

// secretFlags are the flags whose values are not shown.
var secretFlags = map[string]bool{"api-keys": true, "signing-secrets": true, "webhook-url": true, "upload-keys": true, "c2c-secret": true, "webhook-secret": true, "label-sidecar-key": true, "introspection-secret": true}

// signingSecrets are the flags that say what URLs are signed with.
type signingSecrets struct {
	SigningSecrets     string `help:"Secrets that URLs are signed with, newest first, separated by commas: 16 bytes or more each, as deckle secret makes them. Without any, a node alone keeps one of its own in the data directory, for pictures that are private." placeholder:"SECRET,..."`
	SigningSecretsFile string `help:"File of such secrets, one a line, newest first; empty lines and those that begin with # say nothing. It is read again when it changes." placeholder:"FILE"`
}

// none tells whether neither flag is given.
func (s *signingSecrets) none() bool { return s.SigningSecrets == "" && s.SigningSecretsFile == "" }

// signSettings are the flags that say what has to be signed.
type signSettings struct {
	signingSecrets `embed:""`

	Signed          string `help:"What needs a signature: uploads, reads, private (the sources that --private names), or all of them; several, separated by commas." placeholder:"WHAT,..."`
	Private         string `help:"Sources that are private: ids that are one of these, or go on from one behind a slash, separated by commas." placeholder:"ID,..."`
	SignatureMaxAge string `default:"1h" help:"How far ahead the end of a signature may lie."`
}

// resolve reads the settings; faults are kept in r. redirects tells whether viewers are sent to public copies.
func (s *signSettings) resolve(r *reader, redirects bool) proxy.Signed {
	var signed proxy.Signed
	private := list(s.Private)
	for _, what := range list(s.Signed) {
		switch what {
		case "uploads":
			signed.Uploads = true
		case "reads":
			signed.Reads = true
		case "all":
			signed.Uploads, signed.Reads = true, true
		case "private":
			signed.Private = private
			if len(private) == 0 {
				r.fault("signed", what, "--private beside it, which says what is private")
			}
		default:
			r.fault("signed", what, "uploads, reads, private or all")
		}
	}
	for _, id := range private {
		if err := origin.CheckID(id); err != nil {
			r.fault("private", id, "an id, or its first segments, as in customers/passports: "+err.Error())
		}
	}
	if len(private) > 0 && len(signed.Private) == 0 && !signed.Reads {
		r.fault("private", s.Private, "--signed private beside it: nothing is held back otherwise")
	}
	if redirects && (signed.Reads || len(signed.Private) > 0) {
		r.fault("signed", s.Signed, "no --redirect beside it: the public copies that it makes are not signed")
	}
	switch {
	case s.none() && s.Signed == "":
	case s.none():
		r.fault("signed", s.Signed, "--signing-secrets or --signing-secrets-file beside it")
	default:
		signed.Verifier = s.verifier(r, r.duration("signature-max-age", s.SignatureMaxAge, time.Second))
	}
	return signed
}

// verifier reads the secrets; faults are kept in r, and no secret is in them.
func (s *signingSecrets) verifier(r *reader, maxAge time.Duration) *signature.Verifier {
	v, err := signature.New(signature.Config{Secrets: list(s.SigningSecrets), File: s.SigningSecretsFile, MaxAge: maxAge})
	switch {
	case err != nil && s.SigningSecretsFile != "":
		r.fault("signing-secrets-file", s.SigningSecretsFile, "secrets of at least 16 bytes, one a line: "+err.Error())
	case err != nil:
		r.fault("signing-secrets", "****", "secrets of at least 16 bytes, separated by commas: "+err.Error())
	}
	return v
}

// watchSecrets has the log say when the file of secrets has changed.
func (n *node) watchSecrets(v *signature.Verifier) {
	if v == nil {
		return
	}
	v.Report(func(err error) {
		if err != nil {
			n.log.Error("the signing secrets cannot be read again; those from before stay good", slog.Any("cause", err))
			return
		}
		n.log.Info("new signing secrets")
	})
}

// hasFileFlag tells whether a flag has one beside it that names a file, so that its _FILE variable belongs to that one.
func hasFileFlag(path *kong.Path, flag *kong.Flag) bool {
	for _, other := range path.Flags {
		if rest, ok := strings.CutPrefix(other.Name, flag.Name); ok && rest == "-file" {
			return true
		}
	}
	return false
}
