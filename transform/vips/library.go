package vips

// #cgo pkg-config: vips
// #include <stdlib.h>
// #include <vips/vips.h>
// #include <vips/vector.h>
import "C"

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// loaders are the only classes of libvips loaders that may run, one a source format. Each is fuzzed by its authors; what
// libvips itself calls untrusted is not among them.
var loaders = []string{
	"VipsForeignLoadJpeg",
	"VipsForeignLoadPng",
	"VipsForeignLoadWebp",
	"VipsForeignLoadNsgif",
	"VipsForeignLoadHeif",
	"VipsForeignLoadTiff",
}

// optionalLoaders are the loaders of the formats that are read only where they are switched on. libvips trusts none of them.
var optionalLoaders = map[transform.Format]string{
	transform.SVG: "VipsForeignLoadSvg",
	transform.JXL: "VipsForeignLoadJxl",
	transform.JP2: "VipsForeignLoadJp2k",
}

// allowInputs lets the loaders of the switched-on formats run: for the process, and for good. Other engines in it still refuse
// such sources by their headers.
func allowInputs(inputs transform.FormatSet) error {
	for _, f := range transform.OptionalInputs() {
		if !inputs.Has(f) {
			continue
		}
		if !registered(optionalLoaders[f] + "Buffer") {
			return fmt.Errorf("%w: the installed libvips reads no %s", transform.ErrUnsupported, f)
		}
		allow(optionalLoaders[f], true)
	}
	return nil
}

// registered tells whether libvips has an operation of a class.
func registered(class string) bool {
	name := C.CString(class)
	defer C.free(unsafe.Pointer(name))
	return C.g_type_from_name(name) != 0
}

// savers are what libvips calls untrusted among its encoders. They read only pixels, which no stranger wrote.
var savers = []string{"VipsForeignSaveJxl"}

// start makes libvips ready, once for the process: SIMD on (the binding switches it off unless told otherwise), one thread a
// render, no cache of operations (results are cached as bytes, elsewhere), and no loader but those above.
var start = sync.OnceValue(func() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("start libvips: %v", p)
		}
	}()
	libvips.Startup(&libvips.Config{ConcurrencyLevel: 1, VectorEnabled: true})
	C.vips_block_untrusted_set(C.TRUE)
	allow("VipsForeignLoad", false)
	for _, class := range slices.Concat(loaders, savers) {
		allow(class, true)
	}
	if !simd() {
		return fmt.Errorf("start libvips: SIMD is off; this libvips was built without Highway and would take 1.6 times the CPU")
	}
	return nil
})

// allow lets operations of a class and all below it run, or blocks them.
func allow(class string, run bool) {
	name := C.CString(class)
	defer C.free(unsafe.Pointer(name))
	state := C.gboolean(C.TRUE)
	if run {
		state = C.FALSE
	}
	C.vips_operation_block_set(name, state)
}

// simd tells whether libvips uses vector instructions.
func simd() bool { return C.vips_vector_isenabled() != 0 }

// Version returns the version of the libvips that is linked, as "8.16.1".
func Version() string {
	return fmt.Sprintf("%d.%d.%d", int(C.vips_version(0)), int(C.vips_version(1)), int(C.vips_version(2)))
}

// Memory is what libvips says of itself. It counts pixel buffers and files, not what decoders and encoders allocate.
type Memory struct {
	Bytes     int64 // held now
	Highwater int64 // most ever held, bytes
	Allocs    int64 // buffers held now
	Files     int64 // files open now
}

// ReadMemory returns the memory facts of the process. New must have succeeded.
func ReadMemory() Memory {
	var s libvips.MemoryStats
	libvips.ReadVipsMemStats(&s)
	return Memory{Bytes: s.Mem, Highwater: s.MemHigh, Allocs: s.Allocs, Files: s.Files}
}
