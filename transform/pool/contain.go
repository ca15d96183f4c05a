package pool

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Containment says what a child has given up. What could not be had is said, too: a system may forbid namespaces.
type Containment struct {
	Network string `json:"network"` // "namespace and filter", "filter", "namespace", or "open"
	Files   string `json:"files"`   // "hidden": none can be opened; "read only"; or "open": what the user may do
	User    string `json:"user"`    // "nobody", or "own": that of the server
	Filter  bool   `json:"filter"`  // system calls that a renderer has no use for are refused
	Memory  int64  `json:"memory"`  // bytes that it may allocate; 0 when there is no bound
}

// nobody is the user and group that root becomes: the overflow id of Linux, which owns nothing.
const nobody = 65534

// maxCPU ends a child that the parent, for whatever reason, does not. A child is replaced when it has used half of it.
const maxCPU = 10 * time.Minute

// maxDescriptors is many times what a renderer has open.
const maxDescriptors = 64

// contain gives up, for good, what a renderer has no use for. It is called when everything is loaded that will be, and before
// the first byte of a source is seen.
func contain(s setup) (Containment, error) {
	held := Containment{User: "own", Files: "open"}
	if err := limit(s.Memory); err != nil {
		return held, err
	}
	held.Memory = max(0, s.Memory)
	// The directory of a process's own descriptors exists everywhere and holds nothing of anybody's else; with it as the root
	// of all paths there are no files left. It takes CAP_SYS_CHROOT, which root and the owner of a user namespace have.
	hidden := unix.Chroot("/proc/self/fdinfo") == nil && unix.Chdir("/") == nil
	if s.Drop {
		if err := drop(); err != nil {
			return held, err
		}
		held.User = "nobody"
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return held, fmt.Errorf("hide memory: %w", err)
	}
	held.Filter = filter() == nil
	switch {
	case hidden:
		held.Files = "hidden"
	case held.Filter:
		held.Files = "read only"
	}
	switch {
	case s.Namespace && held.Filter:
		held.Network = "namespace and filter"
	case s.Namespace:
		held.Network = "namespace"
	case held.Filter:
		held.Network = "filter"
	default:
		held.Network = "open"
	}
	return held, nil
}

// drop makes root nobody. Changing the user makes the kernel forget that it is to end this process with its parent.
func drop() error {
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leave groups: %w", err)
	}
	if err := syscall.Setgid(nobody); err != nil {
		return fmt.Errorf("leave group root: %w", err)
	}
	if err := syscall.Setuid(nobody); err != nil {
		return fmt.Errorf("leave user root: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("end with the server: %w", err)
	}
	return nil
}

// limit sets the bounds that the kernel holds a process to. Memory is counted from what the process has now: the Go runtime
// reserves much that it never touches, and a race detector far more.
func limit(memory int64) error {
	limits := map[int]uint64{
		unix.RLIMIT_CORE:   0,
		unix.RLIMIT_FSIZE:  0,
		unix.RLIMIT_NOFILE: maxDescriptors,
		unix.RLIMIT_CPU:    uint64(maxCPU / time.Second),
	}
	if memory > 0 {
		data, address, err := mapped()
		if err != nil {
			return err
		}
		limits[unix.RLIMIT_DATA] = uint64(data + memory)
		// Twice, for what allocators reserve without using, and for the source.
		limits[unix.RLIMIT_AS] = uint64(address + 2*memory)
	}
	for resource, most := range limits {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return fmt.Errorf("read limit %d: %w", resource, err)
		}
		most = min(most, now.Max)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("set limit %d: %w", resource, err)
		}
	}
	return nil
}

// mapped returns how much private writable memory and how much address space the process has, bytes, from proc_pid_status(5).
func mapped() (data, address int64, err error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, fmt.Errorf("read own size: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		kilobytes, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64) // other lines are no numbers
		switch name {
		case "VmData":
			data = kilobytes << 10
		case "VmSize":
			address = kilobytes << 10
		}
	}
	if data == 0 || address == 0 {
		return 0, 0, fmt.Errorf("read own size: the kernel does not tell")
	}
	return data, address, nil
}
