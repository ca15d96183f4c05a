package pool

import "golang.org/x/sys/unix"

const (
	architecture = unix.AUDIT_ARCH_AARCH64
	foreignCalls = 0x40000000 // there are none
)

// refusedHere are the calls that only some architectures have.
var refusedHere = []uint32{unix.SYS_RENAMEAT, unix.SYS_KEXEC_FILE_LOAD}

// opens are the calls that open files, and which argument holds the flags.
var opens = []struct{ call, flags uint32 }{{unix.SYS_OPENAT, 2}}
