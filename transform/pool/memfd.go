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
	if err := seal(fd); err != nil {
		_ = unix.Close(fd) // nobody has it
		return -1, fmt.Errorf("seal source: %w", err)
	}
	return fd, nil
}

// attach maps what share made, for reading, and closes fd. The bytes are there until detach. whole says that all of them will
// be read, so that they are better mapped at once.
func attach(fd int, size int64, whole bool) (source []byte, detach func() error, err error) {
	defer func() { _ = unix.Close(fd) }() // a mapping outlives its descriptor
	if size == 0 {
		return nil, func() error { return nil }, nil
	}
	flags := unix.MAP_PRIVATE
	if whole {
		flags |= unix.MAP_POPULATE
	}
	source, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ, flags)
	if err != nil {
		return nil, nil, fmt.Errorf("map source: %w", err)
	}
	return source, func() error { return unix.Munmap(source) }, nil
}

// room makes shared memory for levels that a child will write. Pages that it does not write take no memory.
func room(size int) (fd int, err error) {
	fd, err = unix.MemfdCreate("levels", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, fmt.Errorf("share levels: %w", err)
	}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		_ = unix.Close(fd) // nobody has it
		return -1, fmt.Errorf("share levels: %w", err)
	}
	return fd, nil
}

// attachRoom maps what room made, for writing, and closes fd. The bytes are there until detach.
func attachRoom(fd int, size int64) (memory []byte, detach func() error, err error) {
	defer func() { _ = unix.Close(fd) }() // a mapping outlives its descriptor
	memory, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map levels: %w", err)
	}
	return memory, func() error { return unix.Munmap(memory) }, nil
}

// fix cuts what room made to the bytes that are used and makes it what it is for good. It fails while somebody could still
// write to it.
func fix(fd, size int) error {
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return err
	}
	return seal(fd)
}

// seal makes shared memory what it is for good.
func seal(fd int) error {
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	return err
}
