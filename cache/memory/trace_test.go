package memory

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing/synctest"
	"time"

	"deckle/cache"
)

// picture is one variant of a trace.
type picture struct {
	key   cache.Key
	entry *cache.Entry
	item  *item
	size  int64 // bytes that a cache counts it as
}

// trace is a sequence of requests for pictures.
type trace struct {
	pictures []*picture
	requests []int32 // indexes of pictures
	bytes    int64   // of all pictures together
}

// What pictures are like: bytes are log-normal around 16 KiB and lie within 2 and 200 KB. The time to render one grows with
// its bytes, varies twofold, and is twelve times as long for the eighth of them that are AVIF, which are smaller for it.
const (
	medianBytes         = 16 << 10
	sigmaBytes          = 1.0
	leastBytes          = 2_000
	mostBytes           = 200_000
	millisecondsPer16KB = 15
	avifShare           = 0.125
	avifTimes           = 12
	avifSmaller         = 0.6
)

// newTrace draws requests by a Zipf law: the picture of rank r is asked for in proportion to 1/r^s. Twenty times in the
// course of it a twentieth of the pictures change places, as new ones become popular and old ones are forgotten.
func newTrace(seed uint64, pictures, requests int, s float64) *trace {
	dice := rand.New(rand.NewPCG(seed, 1))
	t := &trace{requests: make([]int32, requests)}
	shared := make([]byte, mostBytes) // bodies are never read, and need not differ
	for i := range pictures {
		p := newPicture(dice, i, shared)
		t.pictures = append(t.pictures, p)
		t.bytes += p.size
	}
	cumulated := make([]float64, pictures)
	sum := 0.0
	for rank := range cumulated {
		sum += math.Pow(float64(rank+1), -s)
		cumulated[rank] = sum
	}
	places := dice.Perm(pictures) // rank to picture
	for i := range t.requests {
		if i%(requests/20+1) == requests/20 {
			for range pictures / 40 {
				a, b := dice.IntN(pictures), dice.IntN(pictures)
				places[a], places[b] = places[b], places[a]
			}
		}
		rank, _ := slices.BinarySearch(cumulated, dice.Float64()*sum)
		t.requests[i] = int32(places[min(rank, pictures-1)])
	}
	return t
}

func newPicture(dice *rand.Rand, i int, shared []byte) *picture {
	bytes := medianBytes * math.Exp(sigmaBytes*dice.NormFloat64())
	cost := millisecondsPer16KB * math.Sqrt(bytes/medianBytes) * math.Exp2(dice.Float64()*2-1)
	if dice.Float64() < avifShare {
		bytes, cost = bytes*avifSmaller, cost*avifTimes
	}
	p := &picture{key: cache.Key{Source: "s" + strconv.Itoa(i/4), Version: "v", Variant: strconv.Itoa(i)}}
	p.entry = cache.NewEntry(cache.Entry{
		Body: shared[:int(min(max(bytes, leastBytes), mostBytes))], ContentType: "image/webp", ETag: `"x"`,
		Cost: time.Duration(cost * float64(time.Millisecond)),
	})
	p.item = &item{key: p.key, entry: p.entry}
	p.size = p.item.size()
	return p
}

// score is what a cache saved on a trace, each a share from 0 to 1.
type score struct{ hits, bytes, time float64 }

// tally adds up what hits saved.
type tally struct{ hits, bytes, time, allHits, allBytes, allTime float64 }

func (a *tally) add(p *picture, hit bool) {
	bytes, took := float64(len(p.entry.Body)), p.entry.Cost.Seconds()
	a.allHits++
	a.allBytes += bytes
	a.allTime += took
	if hit {
		a.hits++
		a.bytes += bytes
		a.time += took
	}
}

func (a *tally) score() score {
	return score{a.hits / a.allHits, a.bytes / a.allBytes, a.time / a.allTime}
}

// store is a cache under test: get tells whether a picture is there, and put offers one that was not.
type store interface {
	get(p *picture) bool
	put(p *picture)
}

// play runs a trace, in a bubble of synctest. What the first fifth saves is not counted: caches begin empty. A cache that
// counts accesses in a goroutine of its own gets the time for it that it has between real requests.
func (t *trace) play(s store) score {
	const breathe = 32 // requests
	var sum tally
	for i, index := range t.requests {
		if i%breathe == 0 {
			synctest.Wait()
		}
		p := t.pictures[index]
		hit := s.get(p)
		if !hit {
			s.put(p)
		}
		if i >= t.warm() {
			sum.add(p, hit)
		}
	}
	return sum.score()
}

func (t *trace) warm() int { return len(t.requests) / 5 }

// bound returns what no cache of so many bytes can pass, even one that knows the trace beforehand: PFOO-L of Berger, Beckmann
// and Harchol-Balter, "Practical Bounds on Optimal Caching with Variable Object Sizes" (2018). A hit takes up the picture's
// bytes from one request to the next; room is bytes times requests, and goes to the hits that are worth most for what they
// take. That all hits fit at every moment is not asked, so that the bound may lie above what is possible.
func (t *trace) bound(capacity int64) score {
	type span struct {
		p     *picture
		takes float64
	}
	last := make(map[int32]int, len(t.pictures))
	var spans []span
	var sum tally
	for i, index := range t.requests {
		p := t.pictures[index]
		before, seen := last[index]
		last[index] = i
		if i < t.warm() {
			continue
		}
		sum.add(p, false)
		if seen {
			spans = append(spans, span{p, float64(p.size) * float64(i-max(before, t.warm()-1))})
		}
	}
	room := float64(capacity) * float64(len(t.requests)-t.warm())
	best := func(worth func(*picture) float64) (kept float64) {
		slices.SortFunc(spans, func(a, b span) int {
			x, y := worth(a.p)/a.takes, worth(b.p)/b.takes
			switch {
			case x > y:
				return -1
			case x < y:
				return 1
			}
			return 0
		})
		left := room
		for _, s := range spans {
			if left -= s.takes; left < 0 {
				break
			}
			kept += worth(s.p)
		}
		return kept
	}
	return score{
		hits:  best(func(*picture) float64 { return 1 }) / sum.allHits,
		bytes: best(func(p *picture) float64 { return float64(len(p.entry.Body)) }) / sum.allBytes,
		time:  best(func(p *picture) float64 { return p.entry.Cost.Seconds() }) / sum.allTime,
	}
}
