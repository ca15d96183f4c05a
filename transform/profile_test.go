package transform

import (
	"bytes"
	"testing"
)

// profileOf is an ICC profile with nothing but tags; what a tag holds is in the file once for each.
func profileOf(tags ...[]byte) []byte {
	var table, data []byte
	for _, tag := range tags {
		at := profileHeader + 4 + profileTagSize*len(tags) + len(data)
		table = concat(table, []byte("D2B0"), be32(at), be32(len(tag)))
		data = append(data, tag...)
	}
	return concat(make([]byte, profileHeader), be32(len(tags)), table, data)
}

// chainOf is a tag of n elements that are all the same bytes.
func chainOf(n int, element []byte) []byte {
	at := 16 + 8*n
	return concat([]byte("mpet\x00\x00\x00\x00\x00\x03\x00\x03"), be32(n), bytes.Repeat(concat(be32(at), be32(len(element))), n), element)
}

// curvesOf is an element of three curves of n segments each.
func curvesOf(n byte) []byte {
	return concat([]byte("cvst\x00\x00\x00\x00\x00\x03\x00\x03"), bytes.Repeat(concat(be32(36), be32(12)), 3), []byte{'c', 'u', 'r', 'f', 0, 0, 0, 0, 0, n, 0, 0})
}

func TestFrugalProfile(t *testing.T) {
	matrix := concat([]byte("matf\x00\x00\x00\x00\x00\x03\x00\x03"), make([]byte, 48))
	wide := concat([]byte("clut\x00\x00\x00\x00\x00\x0f\x00\x03"), make([]byte, 48))
	for name, c := range map[string]struct {
		profile []byte
		want    bool
	}{
		"none":                     {nil, true},
		"no tags":                  {profileOf(), true},
		"a table":                  {profileOf([]byte("mft2"), []byte("curv")), true},
		"a tag outside":            {profileOf(chainOf(99, matrix))[:400], true},
		"a chain beyond its tag":   {profileOf(chainOf(9, matrix)[:15]), false},
		"a chain of 16":            {profileOf(chainOf(16, matrix)), true},
		"a chain of 17":            {profileOf(chainOf(17, matrix)), false},
		"the second chain is long": {profileOf(chainOf(1, matrix), chainOf(1000, matrix)), false},
		"more than there are":      {profileOf(append([]byte("mpet\x00\x00\x00\x00\x00\x03\x00\x03"), 0, 0, 0, 9)), false},
		"curves of 16 segments":    {profileOf(chainOf(4, curvesOf(16))), true},
		"curves of 17 segments":    {profileOf(chainOf(4, curvesOf(17))), false},
		"fifteen channels":         {profileOf(chainOf(1, wide)), false},
		"100 tags":                 {profileOf(make([][]byte, 100)...), true},
		"101 tags":                 {profileOf(make([][]byte, 101)...), false},
	} {
		if got := FrugalProfile(c.profile); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzFrugalProfile(f *testing.F) {
	f.Add(profileOf(chainOf(3, curvesOf(5))))
	f.Fuzz(func(_ *testing.T, profile []byte) { FrugalProfile(profile) })
}
