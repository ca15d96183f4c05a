package signature

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The query parameters that carry a signature. They are read in any letter case, since some caches write names small.
const (
	nameExpires   = "X-Expires"
	namePath      = "X-Path"
	nameSignature = "X-Signature"
)

// params are the parameters of a signature, undone of their encoding.
type params struct {
	expires, path, signature string
	broken                   bool // one is given twice, or badly encoded
}

// split takes the parameters of a signature out of a raw query; rest is the query without them.
func split(query string) (p params, rest string) {
	if !mayCarry(query) {
		return p, query
	}
	var kept []string
	given := map[*string]bool{}
	for pair := range strings.SplitSeq(query, "&") {
		name, raw, _ := strings.Cut(pair, "=")
		to := p.field(name)
		if to == nil {
			kept = append(kept, pair)
			continue
		}
		value, err := url.QueryUnescape(raw)
		if err != nil || given[to] {
			p.broken = true
		}
		*to, given[to] = value, true
	}
	return p, strings.Join(kept, "&")
}

// mayCarry tells whether a name in the query can be one of ours: they begin with an X, which may be encoded.
func mayCarry(query string) bool {
	for i := 0; i < len(query); i++ {
		switch query[i] {
		case 'X', 'x', '%':
			if i == 0 || query[i-1] == '&' {
				return true
			}
		}
	}
	return false
}

func (p *params) field(name string) *string {
	if decoded, err := url.QueryUnescape(name); err == nil {
		name = decoded
	}
	switch {
	case strings.EqualFold(name, nameExpires):
		return &p.expires
	case strings.EqualFold(name, namePath):
		return &p.path
	case strings.EqualFold(name, nameSignature):
		return &p.signature
	}
	return nil
}

// until reads X-Expires: whole seconds since 1970, in the one spelling that Sign writes.
func (p *params) until() (time.Time, error) {
	n, err := strconv.ParseInt(p.expires, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != p.expires {
		return time.Time{}, ErrExpires
	}
	return time.Unix(n, 0), nil
}

// Strip returns a raw query without the parameters of a signature: what is left is what the request is about.
func Strip(query string) string {
	_, rest := split(query)
	return rest
}
