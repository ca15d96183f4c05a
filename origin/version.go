package origin

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// versionBytes is how much of the digest a version keeps: 128 bits, so that two versions never meet by chance.
const versionBytes = 16

// VersionOf returns a version made of what a store knows of a source's bytes: 22 characters of [0-9A-Za-z_-], equal for
// equal facts and else different. Facts hold no NUL.
func VersionOf(facts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(facts, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:versionBytes])
}
