package transform

import "encoding/binary"

// What a colour profile may hold (ICC.1:2022, 7.3 and 10.16). The largest in use have some 40 tags, and chains of up to eight
// elements.
const (
	maxProfileTags     = 100
	maxProfileElements = 16 // of one chain
	maxProfileSegments = 16 // of one curve
	maxProfileChannels = 4  // of an element: CMYK

	profileHeader  = 128 // bytes
	profileTagSize = 12
)

// FrugalProfile tells whether colours can be computed from an ICC profile in a time that its kind bounds. Chains of elements
// cannot where they are long: elements share their bytes, so that a profile of a kilobyte when compressed names 400,000, and
// whoever prepares a table from it goes through all of them for each of its 36,000 entries. Nothing else is checked.
func FrugalProfile(profile []byte) bool {
	if len(profile) < profileHeader+4 {
		return true // none at all
	}
	c := boxCursor{data: profile[profileHeader:]}
	count := c.number(4)
	if count > maxProfileTags {
		return false
	}
	for ; count > 0 && !c.short; count-- {
		c.number(4) // what it is for
		at, size := c.number(4), c.number(4)
		if tag, ok := profilePart(profile, at, size); ok && len(tag) >= 4 && string(tag[:4]) == "mpet" && !frugalChain(tag) {
			return false
		}
	}
	return true
}

// profilePart returns size bytes of something; false when they are not all there.
func profilePart(of []byte, at, size uint64) ([]byte, bool) {
	if at+size > uint64(len(of)) {
		return nil, false
	}
	return of[at : at+size], true
}

// frugalChain tells it of a tag of several elements (ICC.1:2022, table 66).
func frugalChain(tag []byte) bool {
	const head, entry = 16, 8
	if len(tag) < head {
		return false // readers go by the file's end, not by the tag's
	}
	count := binary.BigEndian.Uint32(tag[12:])
	if count > maxProfileElements || len(tag) < head+int(count)*entry {
		return false
	}
	for entries := tag[head : head+int(count)*entry]; len(entries) > 0; entries = entries[entry:] {
		at, size := uint64(binary.BigEndian.Uint32(entries)), uint64(binary.BigEndian.Uint32(entries[4:]))
		if element, ok := profilePart(tag, at, size); !ok || !frugalElement(element) {
			return false
		}
	}
	return true
}

// frugalElement tells it of an element. Its cost grows with its channels: that of a table doubles with each.
func frugalElement(element []byte) bool {
	const head, entry = 12, 8
	if len(element) < head {
		return false
	}
	in, out := int(binary.BigEndian.Uint16(element[8:])), int(binary.BigEndian.Uint16(element[10:]))
	switch {
	case in > maxProfileChannels || out > maxProfileChannels:
		return false
	case string(element[:4]) != "cvst":
		return true
	case len(element) < head+in*entry:
		return false
	}
	for entries := element[head : head+in*entry]; len(entries) > 0; entries = entries[entry:] {
		at, size := uint64(binary.BigEndian.Uint32(entries)), uint64(binary.BigEndian.Uint32(entries[4:]))
		curve, ok := profilePart(element, at, size)
		if !ok || len(curve) < 10 || binary.BigEndian.Uint16(curve[8:]) > maxProfileSegments {
			return false
		}
	}
	return true
}
