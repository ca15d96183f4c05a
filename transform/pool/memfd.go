package pool

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// share puts bytes into memory that another process can map: a file without a name that can be changed no more. Whoever called
// closes it. Nearly all it costs is fresh pages: about 0.6 ms a MiB, mapping them on the other side included (BenchmarkShare).
func share(source []byte) (fd int, err error) {
	fd, err = unix.MemfdCreate("source", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, fmt.Errorf("share source: %w", err)
	}
	for rest := source; len(rest) > 0; {
		n, err := unix.Write(fd, rest)
		if err != nil && err != unix.EINTR {
			_ = unix.Close(fd) // nobody has it
			return -1, fmt.Errorf("share source: %w", err)
		}
		rest = rest[max(0, n):]
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		_ = unix.Close(fd) // nobody has it
		return -1, fmt.Errorf("seal source: %w", err)
	}
	return fd, nil
}

// attach maps what share made, for reading, and closes fd. The bytes are there until detach.
func attach(fd int, size int64) (source []byte, detach func() error, err error) {
	defer func() { _ = unix.Close(fd) }() // a mapping outlives its descriptor
	if size == 0 {
		return nil, func() error { return nil }, nil
	}
	source, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		return nil, nil, fmt.Errorf("map source: %w", err)
	}
	return source, func() error { return unix.Munmap(source) }, nil
}
