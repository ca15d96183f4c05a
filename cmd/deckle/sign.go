package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"deckle/proxy"
	"deckle/signature"
)

// secretCommand makes secrets for --signing-secrets.
type secretCommand struct {
	Length int `default:"32" help:"Random bytes in each, 16 to 1024."`
	Count  int `default:"1" help:"How many, 1 to 1000."`
}

// Run prints one secret a line.
func (s *secretCommand) Run(stdout io.Writer) error {
	if s.Length < signature.MinSecret || s.Length > 1024 {
		return fmt.Errorf("%w: --length is %d: want %d to 1024", errUsage, s.Length, signature.MinSecret)
	}
	if s.Count < 1 || s.Count > 1000 {
		return fmt.Errorf("%w: --count is %d: want 1 to 1000", errUsage, s.Count)
	}
	for range s.Count {
		if _, err := fmt.Fprintln(stdout, signature.NewSecret(s.Length)); err != nil {
			return err
		}
	}
	return nil
}

// signCommand signs one URL.
type signCommand struct {
	ownSecrets `embed:""`

	URL    string        `arg:"" help:"Path, as in /cat_300_200.webp, or whole URL."`
	Method string        `default:"GET" help:"What the URL is for: GET, which allows HEAD too, or an upload by POST or PUT."`
	TTL    time.Duration `name:"ttl" default:"15m" help:"How long the signature is good."`
	Scope  string        `help:"Sign this path for the URL: /cat covers every size and format of the source cat, and what is below /cat/." placeholder:"PATH"`
}

// Run prints the URL, signed. A signature that it has already is replaced.
func (s *signCommand) Run(stdout io.Writer) error {
	u, err := url.Parse(s.URL)
	if err != nil || !strings.HasPrefix(u.Path, "/") {
		return fmt.Errorf("%w: %q is neither a path that begins with a slash nor a URL with one", errUsage, s.URL)
	}
	method := strings.ToUpper(s.Method)
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut}, method) {
		return fmt.Errorf("%w: --method is %q: want GET, POST or PUT", errUsage, s.Method)
	}
	if s.TTL < time.Second {
		return fmt.Errorf("%w: --ttl is %s: want a second or more", errUsage, s.TTL)
	}
	if s.Scope != "" && !signature.Covers(s.Scope, u.Path, proxy.SourceOf(u.EscapedPath())) {
		return fmt.Errorf("%w: --scope %s does not cover %s", errUsage, s.Scope, u.Path)
	}
	signer, err := s.signer()
	if err != nil {
		return err
	}
	if signer == nil {
		return fmt.Errorf("%w: no secret: give --secret, --signing-secrets or --signing-secrets-file", errUsage)
	}
	query := signer.Query(method, u.Path, s.Scope, time.Now().Add(s.TTL))
	if kept := signature.Strip(u.RawQuery); kept != "" {
		query = kept + "&" + query
	}
	u.RawQuery = query
	_, err = fmt.Fprintln(stdout, u)
	return err
}

// ownSecrets are the flags of commands that sign by themselves.
type ownSecrets struct {
	signingSecrets `embed:""`

	Secret string `help:"Secret to sign with; otherwise the newest of --signing-secrets-file or --signing-secrets." placeholder:"SECRET"`
}

// signer holds the secret to sign with; nil when none is given. Its error wraps errUsage.
func (s *ownSecrets) signer() (*signature.Verifier, error) {
	config := signature.Config{Secrets: list(s.SigningSecrets), File: s.SigningSecretsFile}
	if s.Secret != "" {
		config = signature.Config{Secrets: []string{s.Secret}}
	} else if s.none() {
		return nil, nil
	}
	v, err := signature.New(config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	return v, nil
}
