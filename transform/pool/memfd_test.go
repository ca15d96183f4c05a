package pool

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestShare: the other side sees the bytes, and neither side can change them any more.
func TestShare(t *testing.T) {
	for _, size := range []int{0, 1, 4096, 3<<20 + 17} {
		source := bytes.Repeat([]byte{0xa7}, size)
		fd, err := share(source)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := unix.Pwrite(fd, []byte{1}, 0); !errors.Is(err, unix.EPERM) {
			t.Errorf("%d bytes: %d were written: %v", size, n, err)
		}
		if err := unix.Ftruncate(fd, int64(size)+1); !errors.Is(err, unix.EPERM) {
			t.Errorf("%d bytes: the length was changed: %v", size, err)
		}
		got, detach, err := attach(fd, int64(size), true)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, source) {
			t.Errorf("%d bytes: others came", size)
		}
		if err := detach(); err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkShare is what a source of 4 MiB costs to hand over, both sides together.
func BenchmarkShare(b *testing.B) {
	source := bytes.Repeat([]byte{0xa7}, 4<<20)
	b.SetBytes(int64(len(source)))
	for b.Loop() {
		fd, err := share(source)
		if err != nil {
			b.Fatal(err)
		}
		_, detach, err := attach(fd, int64(len(source)), true)
		if err != nil {
			b.Fatal(err)
		}
		if err := detach(); err != nil {
			b.Fatal(err)
		}
	}
}
