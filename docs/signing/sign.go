// Package signing owns the samples that sign Deckle's URLs, one for each language; this one is for Go. Copy it.
package signing

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"time"
)

// Sign returns the query parameters that sign a path, decoded and beginning with a slash, until expires. With a scope, such as
// /cat for /cat_300_200.webp, the same parameters serve all that it covers; leave it empty to sign the path alone.
func Sign(secret, method, path, scope string, expires time.Time) string {
	signed, extra := path, ""
	if scope != "" {
		signed, extra = scope, "&X-Path="+url.QueryEscape(scope)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%s\n%s\n%d", method, signed, expires.Unix()) // never fails
	signature := base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	return fmt.Sprintf("X-Expires=%d%s&X-Signature=%s", expires.Unix(), extra, signature)
}
