package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// NameLength is the length of what SourceName and VariantName return: 128 bits in lower-case hexadecimal digits.
const NameLength = 32

// SourceName returns the part of an entry's stored name that all entries of a source have in common: the first 128 bits of
// the SHA-256 of the source's id. Whatever the id holds, it is fit for a file's name, an object's key and a Redis key, and
// the name of one source is no prefix of another's.
func SourceName(source string) string { return shortHash(source) }

// VariantName returns the part of an entry's stored name that tells it from the other entries of its source. Two keys that
// collide, which takes about 2^64 of them, displace each other: an entry carries its key, and Decode compares it.
func VariantName(k Key) string {
	// The length keeps ("a", "bc") apart from ("ab", "c").
	return shortHash(strconv.Itoa(len(k.Version)) + ":" + k.Version + k.Variant)
}

// IsName tells whether text has the form of a SourceName or a VariantName.
func IsName(text string) bool {
	if len(text) != NameLength {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:NameLength/2])
}
