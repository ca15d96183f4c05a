package transform

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"deckle/internal/testimage"
)

// place stands for what may not be left in a file.
var place = []byte("43 degrees north")

// exifPlace is EXIF with a GPS directory, as its own TIFF; six rationals end it.
func exifPlace() []byte {
	jpeg := testimage.WithGPS(madeJPEG(8, 8, 80), 6)
	return jpeg[12 : 2+2+int(binary.BigEndian.Uint16(jpeg[4:]))]
}

// heifItem is an item beside the picture, whose bytes are in the mdat box.
type heifItem struct {
	kind, texts string // texts follow the kind of a mime item
	body        []byte
	packed      bool // in two pieces
}

// heifWith makes an AVIF of 9x5 pixels with those items, and further boxes within the meta box and behind all.
func heifWith(metaTail, tail []byte, items ...heifItem) []byte {
	full := be32(0)
	pixels := bytes.Repeat([]byte{7}, 16)
	made := func(mdat int) []byte {
		infes := isoBox("infe", be32(2<<24), be16(1), be16(0), []byte("av01\x00"))
		locations := concat(be16(1), be16(0), be16(1), be32(mdat), be32(len(pixels)))
		data, at := pixels, mdat+len(pixels)
		for i, item := range items {
			infes = concat(infes, isoBox("infe", be32(2<<24), be16(2+i), be16(0), []byte(item.kind), []byte{0}, []byte(item.texts)))
			if half := len(item.body) / 2; item.packed {
				locations = concat(locations, be16(2+i), be16(0), be16(2), be32(at), be32(half), be32(at+half), be32(len(item.body)-half))
			} else {
				locations = concat(locations, be16(2+i), be16(0), be16(1), be32(at), be32(len(item.body)))
			}
			data, at = concat(data, item.body), at+len(item.body)
		}
		meta := isoBox("meta", full, isoBox("hdlr", full, be32(0), []byte("pict"), make([]byte, 13)), isoBox("pitm", full, be16(1)),
			isoBox("iinf", full, be16(1+len(items)), infes),
			isoBox("iprp", isoBox("ipco", ispe(9, 5), irot(1), isoBox("udes", full, []byte("en\x00"), place, []byte{0, 0, 0})), isoBox("ipma", full, be32(1), be16(1), []byte{2, 1, 2})),
			isoBox("iloc", full, be16(0x4400), be16(1+len(items)), locations), metaTail)
		return concat(isoBox("ftyp", []byte("avif"), be32(0), []byte("avif")), meta, isoBox("mdat", data), tail)
	}
	return made(bytes.Index(made(0), []byte("mdat")) + 4)
}

// wideField is a TIFF field whose values are outside its directory.
type wideField struct {
	tag, kind, count int
	values           []byte
}

// tiffWith makes a big-endian TIFF of a picture of 9x5 grey pixels, turned, with further fields behind those of the picture.
func tiffWith(more ...wideField) []byte {
	fields := append(tiffSize(9, 5), tiffField{tagOrientation, kindShort, 1, 6}, tiffField{tagStrips, kindLong, 1, 8}, tiffField{tagStripSizes, kindLong, 1, 45})
	head := concat([]byte("MM\x00*"), be32(8+46), bytes.Repeat([]byte{7}, 46))
	directory := 2 + (len(fields)+len(more))*ifdEntrySize + 4
	at := len(head) + directory
	out := concat(head, be16(len(fields)+len(more)))
	for _, f := range fields {
		value := be32(f.value)
		if f.kind == kindShort {
			value = concat(be16(f.value), be16(0))
		}
		out = concat(out, be16(f.tag), be16(f.kind), be32(f.count), value)
	}
	var values []byte
	for _, f := range more {
		out = concat(out, be16(f.tag), be16(f.kind), be32(f.count), be32(at+len(values)))
		if f.tag == tagGPS { // a directory of one field, whose value follows
			f.values = concat(be16(1), be16(2), be16(2), be32(len(place)), be32(at+len(values)+18), be32(0), place)
		}
		values = concat(values, f.values)
	}
	return concat(out, be32(0), values)
}

var xmpPlace = concat([]byte("<x:xmpmeta><exif:GPSLatitude>"), place, []byte("</exif:GPSLatitude></x:xmpmeta>"), make([]byte, 20))

// blankCases are files that say a place.
func blankCases() map[string][]byte {
	sequence := isoBox("moov", isoBox("mvhd", make([]byte, 8)), isoBox("trak", isoBox("mdia", isoBox("hdlr", be32(0), be32(0), []byte("pict"))), isoBox("udta", place)), isoBox("udta", place))
	stream := jxlBits(0, 1, 0, 2, 49, 9, 0, 3, 0, 2, 89, 9, 1, 1)
	return map[string][]byte{
		"avif exif":     heifWith(nil, nil, heifItem{kind: "Exif", body: concat(be32(6), []byte("Exif\x00\x00"), exifPlace(), place)}),
		"avif tiny":     heifWith(nil, nil, heifItem{kind: "Exif", body: place[:5]}),
		"avif xmp":      heifWith(nil, nil, heifItem{kind: "mime", texts: "application/rdf+xml\x00", body: xmpPlace}),
		"avif both":     heifWith(nil, nil, heifItem{kind: "mime", texts: "application/rdf+xml\x00\x00", body: xmpPlace}, heifItem{kind: "Exif", body: concat(be32(0), exifPlace(), place)}, heifItem{kind: "uri ", body: place}),
		"avif boxes":    heifWith(concat(isoBox("uuid", place), isoBox("xml ", place)), concat(isoBox("mpvd", place), isoBox("free", place))),
		"avif sequence": heifWith(nil, sequence),
		"avif trailer":  heifWith(nil, concat(be32(999), []byte("what"), place)),
		"tiff text":     tiffWith(wideField{270, 2, len(place), place}),
		"tiff gps":      tiffWith(wideField{tagGPS, kindLong, 1, nil}),
		"tiff exif":     tiffWith(wideField{700, 1, len(place), place}, wideField{tagEXIF, kindLong, 1, concat(be16(0), be32(0))}, wideField{tagGPS, kindLong, 1, nil}),
		"tiff geotiff":  tiffWith(wideField{33922, 12, 2, place}),
		"jxl":           concat([]byte(jxlContainer), isoBox("ftyp", []byte("jxl "), be32(0), []byte("jxl ")), isoBox("Exif", place), isoBox("jxlc", stream), isoBox("brob", place)),
		"jp2":           concat(jp2File(jp2Of(90, 50, 90)), isoBox("uuid", place), isoBox("xml ", place)),
	}
}

// TestBlank: no place is left, and the picture is where it was and what it was.
func TestBlank(t *testing.T) {
	for name, data := range blankCases() {
		t.Run(name, func(t *testing.T) {
			before, err := everyInput().ReadHeader(data)
			if err != nil {
				t.Fatal(err)
			}
			got := slices.Clone(data)
			changed, err := Blank(got, before.Format)
			if err != nil || !changed || len(got) != len(data) {
				t.Fatalf("changed %v, %v; %d bytes of %d", changed, err, len(got), len(data))
			}
			for _, left := range [][]byte{place[:5], exifPlace()[60:], []byte("GPS")} {
				if bytes.Contains(got, left) {
					t.Errorf("%q is left in %q", left, got)
				}
			}
			if after, err := everyInput().ReadHeader(got); err != nil || after != before {
				t.Errorf("%+v, %v; want %+v", after, err, before)
			}
			if bytes.Count(got, []byte{7, 7, 7, 7}) != bytes.Count(data, []byte{7, 7, 7, 7}) {
				t.Error("pixels were lost")
			}
			if again, err := Blank(got, before.Format); again || err != nil {
				t.Errorf("blanked twice: %v, %v", again, err)
			}
		})
	}
	t.Run("what is left of items", func(t *testing.T) {
		got := blankCases()["avif both"]
		if _, err := Blank(got, AVIF); err != nil || !bytes.Contains(got, emptyEXIF) || !bytes.Contains(got, emptyXMP) {
			t.Errorf("%v: %q", err, got)
		}
	})
}

func TestBlankNothing(t *testing.T) {
	for _, c := range goodFiles() {
		got := slices.Clone(c.data)
		if changed, err := Blank(got, c.want.Format); changed || err != nil || !bytes.Equal(got, c.data) {
			t.Errorf("%s: changed %v, %v", c.name, changed, err)
		}
	}
}

// TestBlankRefuses files of which it is not known what to overwrite.
func TestBlankRefuses(t *testing.T) {
	exif := concat(be32(0), exifPlace())
	shared := heifWith(nil, nil, heifItem{kind: "Exif", body: exif})
	at := bytes.Index(shared, concat(be16(2), be16(0), be16(1))) + 6 // where item 2 is said to be
	binary.BigEndian.PutUint32(shared[at:], binary.BigEndian.Uint32(shared[at:])-4)
	strip := tiffWith(wideField{270, 2, 20, place})
	at = bytes.Index(strip, concat(be16(270), be16(2))) + 8
	binary.BigEndian.PutUint32(strip[at:], 10)
	sequence := isoBox("moov", isoBox("trak", isoBox("mdia", isoBox("hdlr", be32(0), be32(0), []byte("text")))))
	for name, data := range map[string][]byte{
		"exif in pieces":             heifWith(nil, nil, heifItem{kind: "Exif", body: exif, packed: true}),
		"exif outside":               heifWith(nil, nil, heifItem{kind: "Exif", body: nil}),
		"exif in the picture's data": shared,
		"xmp that is packed":         heifWith(nil, nil, heifItem{kind: "mime", texts: "application/rdf+xml\x00deflate\x00", body: place}),
		"a jpeg within":              heifWith(nil, nil, heifItem{kind: "jpeg", body: testimage.WithGPS(madeJPEG(8, 8, 80), 1)}),
		"a track of texts":           heifWith(nil, sequence),
		"a raw photograph":           tiffWith(wideField{tagDNG, 1, 4, nil}),
		"a text in the pixels":       strip,
	} {
		h, err := everyInput().ReadHeader(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := Blank(data, h.Format); !errors.Is(err, ErrUnsupported) || !bytes.Contains([]byte(err.Error()), []byte("keep_metadata")) {
			t.Errorf("%s: %v, want ErrUnsupported with the remedy", name, err)
		}
	}
}

// FuzzBlank holds that a blanked file has the size and the header that it had, nothing more to blank, and no place in it where the
// places of these files are.
func FuzzBlank(f *testing.F) {
	for _, data := range blankCases() {
		f.Add(data)
	}
	for _, c := range goodFiles() {
		f.Add(c.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before, err := everyInput().ReadHeader(data)
		if err != nil {
			return
		}
		got := slices.Clone(data)
		if _, err := Blank(got, before.Format); err != nil {
			if !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if after, err := everyInput().ReadHeader(got); err != nil || after != before || len(got) != len(data) {
			t.Fatalf("%+v, %v; want %+v", after, err, before)
		}
		if again, err := Blank(got, before.Format); again || err != nil {
			t.Fatalf("blanked twice: %v, %v", again, err)
		}
	})
}
