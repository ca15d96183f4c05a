package pool

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// counts is what a pool has counted since it was made.
type counts struct {
	renders, refused atomic.Int64
	ended            [reasons]atomic.Int64
}

// Stats are facts about a pool since it was made.
type Stats struct {
	Renders     int64            // given to children
	Ended       map[string]int64 // children that ended, by reason: crash, deadline, cancel, recycle, idle, start
	Children    int              // ready or at work now
	Quarantined int              // sources that get no renderer now
	Refused     int64            // renders refused because of that
	Muted       int64            // lines of children that were not logged, because there were too many

	PyramidsRaised int64 // sources whose decoded levels were kept
	PyramidRenders int64 // renders that started from kept levels
	PyramidBytes   int64 // that kept levels take now
}

// Stats returns the counts. It may be called at any time.
func (p *Pool) Stats() Stats {
	s := Stats{
		Renders: p.counts.renders.Load(), Refused: p.counts.refused.Load(), Ended: map[string]int64{},
		Quarantined: p.quarantine.size(), Muted: p.complaints.dropped.Load(),
	}
	for why := crashed; why < stopped; why++ {
		s.Ended[reasonNames[why]] = p.counts.ended[why].Load()
	}
	s.PyramidsRaised, s.PyramidRenders, s.PyramidBytes = p.pyramids.facts()
	p.mu.Lock()
	for c := range p.children {
		if c.ready {
			s.Children++
		}
	}
	p.mu.Unlock()
	return s
}

// Memory is what all children hold together, bytes.
type Memory struct {
	Resident     int64 // pages in memory, those shared with other processes counted in full
	Proportional int64 // pages in memory, shared ones divided by those who share them; 0 where the kernel does not tell
	Held         int64 // by the renderer library itself, as it said after each child's last render
	Most         int64 // the most that the library has held in any one child
}

// Memory asks the kernel about each child, which takes about a millisecond for each.
func (p *Pool) Memory() Memory {
	p.mu.Lock()
	defer p.mu.Unlock()
	var m Memory
	for c := range p.children {
		if u, err := readUsage(c.pid()); err == nil { // it may have ended
			m.Resident += u.resident
		}
		m.Proportional += readProportional(c.pid())
		m.Held += c.held.Load()
		m.Most = max(m.Most, c.most.Load())
	}
	return m
}

// usage is what a process takes.
type usage struct {
	resident int64 // bytes
	cpu      time.Duration
}

// clockTick is the unit of CPU time in /proc: a hundredth of a second on every architecture that Go knows.
const clockTick = time.Second / 100

// readUsage reads /proc/PID/stat; the fields are counted in proc_pid_stat(5), from 1.
func readUsage(pid int) (usage, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, err
	}
	// Field 2 is a name in brackets and can hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const third = 3
	if len(fields) <= 24-third {
		return usage{}, fmt.Errorf("%d fields in stat", len(fields))
	}
	var numbers [3]int64
	for i, field := range []int{14, 15, 24} { // utime, stime, rss
		if numbers[i], err = strconv.ParseInt(fields[field-third], 10, 64); err != nil {
			return usage{}, err
		}
	}
	return usage{resident: numbers[2] * int64(os.Getpagesize()), cpu: time.Duration(numbers[0]+numbers[1]) * clockTick}, nil
}

// readProportional returns the PSS of a process, bytes; 0 when it cannot be read.
func readProportional(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "Pss:"); found {
			kilobytes, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64) // 0 when it is no number
			return kilobytes << 10
		}
	}
	return 0
}

// recent counts how the renders of the last minute ended.
type recent struct {
	mu      sync.Mutex
	buckets [6]bucket
}

// bucket is ten seconds of renders.
type bucket struct {
	at              int64 // number of the ten seconds
	crashes, others int
}

const bucketTime = 10 * time.Second

func (r *recent) note(crash bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now().UnixNano() / int64(bucketTime)
	b := &r.buckets[now%int64(len(r.buckets))]
	if b.at != now {
		*b = bucket{at: now}
	}
	if crash {
		b.crashes++
	} else {
		b.others++
	}
}

// What makes a pool unwell: more than this part of its renders crashed, of at least so many.
const (
	unwellShare = 0.2
	unwellFrom  = 20
)

// Well returns an error when more than a fifth of the renders of the last minute crashed. Of fewer than twenty it says nothing.
func (p *Pool) Well() error {
	r := &p.recent
	r.mu.Lock()
	defer r.mu.Unlock()
	now, crashes, all := time.Now().UnixNano()/int64(bucketTime), 0, 0
	for _, b := range r.buckets {
		if now-b.at < int64(len(r.buckets)) {
			crashes += b.crashes
			all += b.crashes + b.others
		}
	}
	if all >= unwellFrom && float64(crashes) > unwellShare*float64(all) {
		return fmt.Errorf("%d of the last %d renders crashed", crashes, all)
	}
	return nil
}
