package bench

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what a process and all its descendants have used.
type usage struct {
	cpu          time.Duration // user and system, children that ended and were waited for included
	peak         int64         // sum of the largest resident sizes so far (VmHWM), bytes; pages that processes share count in each
	resident     int64         // sum of the resident sizes now, bytes; likewise
	proportional int64         // the same with each shared page counted once (PSS), bytes; 0 where the kernel does not tell
}

// shared returns what the processes have together: PSS where it is known.
func (u usage) shared() int64 { return cmp.Or(u.proportional, u.resident) }

// tick is the unit of /proc/PID/stat. Linux shows programs 100 a second whatever the kernel's own clock (proc(5), USER_HZ).
const tick = 10 * time.Millisecond

// processStat is what /proc/PID/stat says, as far as it is needed.
type processStat struct {
	parent int
	cpu    time.Duration
}

// readUsage reads the usage of pid's process tree; nothing for a pid of 0.
//
// A child that ends between two readings is not lost: its time is added to its parent's when the parent waits for it, and the
// reading takes the times of ended children in.
func readUsage(pid int) (usage, error) {
	if pid == 0 {
		return usage{}, nil
	}
	all, err := readProcesses()
	if err != nil {
		return usage{}, err
	}
	if _, ok := all[pid]; !ok {
		return usage{}, fmt.Errorf("read the usage of process %d: there is none of that number", pid)
	}
	var total usage
	for id := range all {
		if !descends(all, id, pid) {
			continue
		}
		total.cpu += all[id].cpu
		status, err := readSizes(id, "status", "VmHWM:", "VmRSS:")
		if err != nil {
			return usage{}, err
		}
		rollup, err := readSizes(id, "smaps_rollup", "Pss:") // not of other users' processes
		if err != nil {
			return usage{}, err
		}
		total.peak += status[0]
		total.resident += status[1]
		total.proportional += rollup[0]
	}
	return total, nil
}

// descends tells whether id is ancestor or below it.
func descends(all map[int]processStat, id, ancestor int) bool {
	// A number may be used again between two files being read, so that a loop is possible, if hardly.
	for range len(all) {
		if id == ancestor {
			return true
		}
		stat, ok := all[id]
		if !ok {
			return false
		}
		id = stat.parent
	}
	return false
}

func readProcesses() (map[int]processStat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	all := make(map[int]processStat)
	for _, entry := range entries {
		id, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue // it ended since
		}
		if all[id], err = parseStat(text); err != nil {
			return nil, fmt.Errorf("read process %d: %w", id, err)
		}
	}
	return all, nil
}

// parseStat reads a line of proc(5)'s stat. The second field is a name in parentheses that may hold anything.
func parseStat(text []byte) (processStat, error) {
	_, after, found := bytes.Cut(text, []byte("("))
	end := bytes.LastIndexByte(after, ')')
	if !found || end < 0 {
		return processStat{}, errors.New("the line has no name")
	}
	const first = 3 // field 3 is the first after the name
	fields := strings.Fields(string(after[end+1:]))
	if len(fields) < 17-first+1 {
		return processStat{}, errors.New("the line is too short")
	}
	parent, err := strconv.Atoi(fields[4-first])
	if err != nil {
		return processStat{}, fmt.Errorf("read the parent: %w", err)
	}
	stat := processStat{parent: parent}
	for field := 14; field <= 17; field++ { // utime, stime, cutime, cstime
		ticks, err := strconv.ParseInt(fields[field-first], 10, 64)
		if err != nil {
			return processStat{}, fmt.Errorf("read field %d: %w", field, err)
		}
		stat.cpu += time.Duration(ticks) * tick
	}
	return stat, nil
}

// readSizes returns the lines of a process's file that begin with the names, bytes; 0 for those that are not there, and for a
// process that ended, that is only waited for, or that may not be looked at.
func readSizes(pid int, file string, names ...string) ([]int64, error) {
	sizes := make([]int64, len(names))
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/" + file)
	if err != nil {
		return sizes, nil // see above: there is nothing to be told of it
	}
	for line := range strings.Lines(string(text)) {
		for i, name := range names {
			value, found := strings.CutPrefix(line, name)
			if !found {
				continue
			}
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read %s of process %d: %w", name, pid, err)
			}
			sizes[i] = kib << 10
		}
	}
	return sizes, nil
}
