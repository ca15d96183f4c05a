package vips

// #cgo linux LDFLAGS: -ldl
// #define _GNU_SOURCE
// #include <dlfcn.h>
// #include <stdlib.h>
//
// // version_of asks a library that is loaded already for its version; 0 when it is not loaded. libvips may have it from a
// // module of its own, which other names are not looked up in.
// static unsigned int version_of(const char *library, const char *symbol) {
//	unsigned int (*ask)(void) = (unsigned int (*)(void)) dlsym(RTLD_DEFAULT, symbol);
//	unsigned int version = 0;
//	void *handle = NULL;
//	if (!ask && (handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD))) {
//		ask = (unsigned int (*)(void)) dlsym(handle, symbol);
//	}
//	if (ask) {
//		version = ask();
//	}
//	if (handle) {
//		dlclose(handle);
//	}
//	return version;
// }
import "C"

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"
)

// Decoder is a library that libvips decodes with and whose older versions are known to be taken over by pictures.
type Decoder struct {
	Name    string
	Version string // "1.2.4"; empty when libvips goes without it
	Package string // version of the distribution's package that it comes from, as far as that was looked for and found
	Safety  Safety
	least   [3]int
}

// Safety is what is known of a decoder.
type Safety uint8

// What is known of a decoder. Distributions mend old versions without changing the number that the library tells.
const (
	Unknown    Safety = iota // older than the first mended release, and nothing says whether somebody mended it
	Safe                     // new enough, or absent
	Mended                   // older, from a package that is known to hold the corrections
	Vulnerable               // older, from a package that is known to lack them
)

// decoderRow is what has to be known of a library to judge it.
type decoderRow struct {
	name, soname, symbol string
	number               func(uint) [3]int // reads what symbol returns
	least                [3]int            // the first release without known holes
	packages             []string          // of distributions, that hold it
	mended               []string          // versions of these from which on an older release is corrected
}

// decoderRows: libwebp 1.3.2 corrects CVE-2023-4863 (a picture writes beyond a heap buffer); libheif 1.19 is the first release
// with limits of its own. Debian 12 corrects its older ones (DSA-5497-2; libheif's changelog of 1.15.1-1+deb12u1).
var decoderRows = []decoderRow{
	{
		name: "libwebp", soname: "libwebp.so.7", symbol: "WebPGetDecoderVersion", number: bytesOf,
		least: [3]int{1, 3, 2}, packages: []string{"libwebp7"}, mended: []string{"1.2.4-0.2+deb12u1"},
	},
	{
		name: "libheif", soname: "libheif.so.1", symbol: "heif_get_version_number", number: func(n uint) [3]int { return bytesOf(n >> 8) },
		least: [3]int{1, 19, 0}, packages: []string{"libheif1"}, mended: []string{"1.15.1-1+deb12u1"},
	},
}

// bytesOf splits 0xAABBCC.
func bytesOf(n uint) [3]int { return [3]int{int(n >> 16 & 255), int(n >> 8 & 255), int(n & 255)} }

// Decoders judges the libraries of the table, as they are loaded. New must have succeeded.
func Decoders() []Decoder {
	list := make([]Decoder, len(decoderRows))
	for i, row := range decoderRows {
		library, symbol := C.CString(row.soname), C.CString(row.symbol)
		number := C.version_of(library, symbol)
		C.free(unsafe.Pointer(library))
		C.free(unsafe.Pointer(symbol))
		list[i] = row.judge(uint(number), packageVersion)
	}
	return list
}

// judge tells what is known of a library that says it is of a version; installed finds the version of a package.
func (row decoderRow) judge(number uint, installed func(names []string) string) Decoder {
	d := Decoder{Name: row.name, Safety: Safe, least: row.least}
	if number == 0 {
		return d
	}
	version := row.number(number)
	d.Version = fmt.Sprintf("%d.%d.%d", version[0], version[1], version[2])
	if reaches(version, row.least) {
		return d
	}
	d.Safety = Unknown
	// A package of another release is not what is loaded.
	if found := installed(row.packages); upstreamOf(found) == d.Version {
		d.Package = found
	}
	at := slices.IndexFunc(row.mended, func(mended string) bool { return upstreamOf(mended) == d.Version })
	switch {
	case d.Package == "" || at < 0:
	case compareVersions(d.Package, row.mended[at]) >= 0:
		d.Safety = Mended
	default:
		d.Safety = Vulnerable
	}
	return d
}

// String names the decoder and its version, and says what is known where it is not simply new enough.
func (d Decoder) String() string {
	least := fmt.Sprintf("%d.%d.%d", d.least[0], d.least[1], d.least[2])
	switch {
	case d.Version == "":
		return d.Name + " none"
	case d.Safety == Mended:
		return d.Name + " " + d.Version + " (corrected in package " + d.Package + ")"
	case d.Safety == Vulnerable:
		return d.Name + " " + d.Version + " (package " + d.Package + " lacks corrections that " + least + " has" + advice
	case d.Safety == Unknown:
		return d.Name + " " + d.Version + " (older than " + least + ", and of no package known to be corrected" + advice
	}
	return d.Name + " " + d.Version
}

// advice is how what is said of a doubtful decoder ends.
const advice = ": upgrade it)"

// Backend names the libvips that is linked and the decoders that it uses, with their versions. New must have succeeded.
func Backend() string {
	parts := []string{"libvips " + Version()}
	for _, d := range Decoders() {
		parts = append(parts, d.String())
	}
	return strings.Join(parts, ", ")
}

// Doubtful tells whether a backend, as Backend named it here or in another process, has a decoder that should be upgraded.
func Doubtful(backend string) bool { return strings.Contains(backend, advice) }
