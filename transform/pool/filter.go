package pool

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filter makes the kernel refuse, to every thread of the process and for good, the system calls that a renderer has no use
// for: the network, other processes, changing files, more privilege. It works without any privilege, where namespaces often
// are not permitted. It is a list of what is refused and not of what is allowed: codecs and allocators differ in what they
// call, and one that meets a refusal it did not expect would fail on good pictures.
func filter() error {
	if architecture == 0 {
		return fmt.Errorf("no filter for %s", runtime.GOARCH)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Asked for by the kernel before anybody but root may filter; TSYNC sets it for the other threads.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("filter system calls: %w", err)
	}
	program := filterProgram(uint32(os.Getpid()))
	packed := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&packed)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return fmt.Errorf("filter system calls: %w", errno)
	}
	if thread != 0 {
		return fmt.Errorf("filter system calls: thread %d could not be included", thread)
	}
	return nil
}

// Offsets in what a filter sees of a call (struct seccomp_data of seccomp(2)). Arguments are looked at by their lower half,
// which comes first on the architectures that there are filters for.
const (
	callNumber = 0
	callArch   = 4
	callArgs   = 16
)

// refusal is what a refused call returns.
const (
	refusePermission = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	refuseUnknown    = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// writing are the flags of open that can change a file.
const writing = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC

// filterProgram is the filter, for a process of the given id.
func filterProgram(pid uint32) []unix.SockFilter {
	const allow = unix.SECCOMP_RET_ALLOW
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	jump := func(test uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	end := func(answer uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: answer}
	}
	program := []unix.SockFilter{
		load(callArch), jump(unix.BPF_JEQ, architecture, 1, 0), end(unix.SECCOMP_RET_KILL_PROCESS),
		load(callNumber), jump(unix.BPF_JGE, foreignCalls, 0, 1), end(refusePermission),
	}
	for _, call := range refused {
		program = append(program, jump(unix.BPF_JEQ, call, 0, 1), end(refusePermission))
	}
	for _, call := range unknown {
		program = append(program, jump(unix.BPF_JEQ, call, 0, 1), end(refuseUnknown))
	}
	// flagged refuses a call when one of its arguments has, or lacks, any of some bits.
	flagged := func(call, argument, bits uint32, whenSet, whenClear uint32) {
		program = append(program, jump(unix.BPF_JEQ, call, 0, 4), load(callArgs+8*argument),
			jump(unix.BPF_JSET, bits, 0, 1), end(whenSet), end(whenClear))
	}
	for _, open := range opens {
		flagged(open.call, open.flags, writing, refusePermission, allow)
	}
	flagged(unix.SYS_CLONE, 0, unix.CLONE_THREAD, allow, refusePermission) // threads are, processes are not
	flagged(unix.SYS_MMAP, 2, unix.PROT_EXEC, refusePermission, allow)     // no code but what is loaded
	flagged(unix.SYS_MPROTECT, 2, unix.PROT_EXEC, refusePermission, allow)
	for _, call := range []uint32{unix.SYS_KILL, unix.SYS_TGKILL} { // a runtime signals its own threads
		program = append(program, jump(unix.BPF_JEQ, call, 0, 4), load(callArgs),
			jump(unix.BPF_JEQ, pid, 0, 1), end(allow), end(refusePermission))
	}
	// glibc reads its own limits with it, and calls itself 0.
	program = append(program, jump(unix.BPF_JEQ, unix.SYS_PRLIMIT64, 0, 5), load(callArgs),
		jump(unix.BPF_JEQ, 0, 1, 0), jump(unix.BPF_JEQ, pid, 0, 1), end(allow), end(refusePermission))
	return append(program, end(allow))
}

// unknown are calls whose arguments a filter cannot see. libc falls back to the ones that it can.
var unknown = []uint32{unix.SYS_CLONE3, unix.SYS_OPENAT2}

// refused are the calls that every architecture has.
var refused = append([]uint32{
	// network
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4,
	// other processes
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_PROCESS_MADVISE, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_TKILL,
	unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_KCMP,
	// files
	unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2, unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_LINKAT, unix.SYS_SYMLINKAT,
	unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_TRUNCATE, unix.SYS_FTRUNCATE,
	unix.SYS_FALLOCATE, unix.SYS_UTIMENSAT, unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_REMOVEXATTR,
	unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_FANOTIFY_INIT, unix.SYS_INOTIFY_INIT1,
	// the system
	unix.SYS_CHROOT, unix.SYS_PIVOT_ROOT, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT,
	unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_REBOOT, unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE,
	unix.SYS_DELETE_MODULE, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_SYSLOG,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_PERSONALITY,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	// interfaces of the kernel that have been the way out before, or go round filters
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER,
	unix.SYS_IO_URING_REGISTER, unix.SYS_IO_SETUP, unix.SYS_VMSPLICE,
	// memory that the limits do not count
	unix.SYS_MEMFD_CREATE, unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_MSGGET, unix.SYS_SEMGET, unix.SYS_MQ_OPEN,
	// identity
	unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID, unix.SYS_SETGROUPS,
	unix.SYS_CAPSET,
}, refusedHere...)
