package archive

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"testing"
)

// TestManyPictures bounds the memory that is held at the end of writing and reading an archive. With DECKLE_ARCHIVE_PICTURES it has
// 100,000 pictures, and is a zip64.
func TestManyPictures(t *testing.T) {
	pictures := 20_000
	if os.Getenv("DECKLE_ARCHIVE_PICTURES") != "" {
		pictures = 100_000
	}
	most := int64(pictures)*600 + 4<<20 // bytes
	file, err := TempFile(t.TempDir())
	must(t, err)
	defer func() { _ = file.Close() }() // it has no name
	before := heap()
	w, err := NewWriter(file, t.TempDir())
	must(t, err)
	p := Picture{Owner: "ann"}
	for n := range pictures {
		p.ID, p.File = fmt.Sprintf("id-%d", n), fmt.Sprintf("folder/picture-%d.jpg", n)
		path, to, err := w.Create(p, "jpg")
		must(t, err)
		_, err = fmt.Fprint(to, n)
		must(t, err)
		p.Path = path
		must(t, w.Record(p))
	}
	held := heap() - before
	must(t, w.Close())
	info, err := file.Stat()
	must(t, err)
	before = heap()
	a, err := Open(file, info.Size(), DefaultLimits(1<<20))
	must(t, err)
	reads := heap() - before
	t.Logf("%d pictures, %d bytes: %d bytes of memory to write, %d to read", pictures, info.Size(), held, reads)
	if held > most || reads > most {
		t.Errorf("%d bytes of memory to write, %d to read, want %d at most", held, reads, most)
	}
	n := 0
	must(t, a.Pictures(func(p Picture) error {
		if n%9973 == 0 {
			if got := read(t, a, p.Path); !bytes.Equal(got, fmt.Append(nil, n)) {
				t.Errorf("%s holds %q", p.Path, got)
			}
		}
		n++
		return nil
	}))
	if n != pictures || a.Len() != pictures {
		t.Errorf("%d pictures of %d", n, a.Len())
	}
	runtime.KeepAlive(a)
}

// heap is what is held, bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
