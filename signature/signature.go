// Package signature owns signed URLs: it makes signatures, checks them, and knows the secrets that make them good. A
// signature is the unpadded base64url of HMAC-SHA256(secret, METHOD LF PATH LF EXPIRES) and travels in the query.
package signature

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"time"
)

// encoding is base64url without padding (RFC 4648 section 5), and with only one spelling for each value.
var encoding = base64.RawURLEncoding.Strict()

// encodedLength is that of a signature in a URL, bytes.
var encodedLength = encoding.EncodedLen(sha256.Size)

// Sign returns the signature of a path until expires, which is taken to the second. The method is written as HTTP does, in
// capitals. The path begins with a slash and is decoded: /café and not /caf%C3%A9.
func Sign(secret, method, path string, expires time.Time) string {
	return encoding.EncodeToString(mac(secret, method, path, strconv.FormatInt(expires.Unix(), 10)))
}

func mac(secret, method, path, expires string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	_, _ = h.Write([]byte(method + "\n" + path + "\n" + expires)) // never fails
	return h.Sum(nil)
}

// Query returns the parameters that make a URL of a path signed, ready to be put behind ? or &. With a scope, which must
// cover the path (see Covers), the same parameters serve everything else that it covers; with an empty one they serve the
// path alone. Method, path and scope are as Sign takes them.
func Query(secret, method, path, scope string, expires time.Time) string {
	query := nameExpires + "=" + strconv.FormatInt(expires.Unix(), 10)
	if scope != "" {
		path = scope
		query += "&" + namePath + "=" + url.QueryEscape(scope)
	}
	return query + "&" + nameSignature + "=" + Sign(secret, method, path, expires)
}

// NewSecret returns a secret of n random bytes, in base64url. MinSecret is the least that a Verifier takes.
func NewSecret(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return encoding.EncodeToString(b)
}
