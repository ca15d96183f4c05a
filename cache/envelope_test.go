package cache_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"deckle/cache"
	"deckle/cache/cachetest"
)

var key = cache.Key{Source: "products/cat", Version: "v1", Variant: "300x200"}

func TestEnvelopeFindsEveryFlippedBit(t *testing.T) {
	entry := cachetest.Entry("x", 300)
	data := cache.Encode(key, entry)
	for bit := range 8 * len(data) {
		data[bit/8] ^= 1 << (bit % 8)
		if _, err := cache.Decode(key, data); !errors.Is(err, cache.ErrCorrupt) {
			t.Errorf("bit %d flipped: %v, want ErrCorrupt", bit, err)
		}
		data[bit/8] ^= 1 << (bit % 8)
	}
	for length := range data {
		if _, err := cache.Decode(key, data[:length]); !errors.Is(err, cache.ErrCorrupt) {
			t.Errorf("cut to %d bytes: %v, want ErrCorrupt", length, err)
		}
	}
	e, err := cache.Decode(key, data)
	if err != nil {
		t.Fatal(err)
	}
	cachetest.Equal(t, e, entry)
}

// TestEnvelopeFindsFlips flips one to eight bits of entries of many sizes, a hundred thousand times in the long form.
func TestEnvelopeFindsFlips(t *testing.T) {
	rounds := 10_000
	if os.Getenv("DECKLE_FAULTS_LONG") != "" {
		rounds = 100_000
	}
	dice := rand.New(rand.NewPCG(1, 2))
	missed := 0
	for round := range rounds {
		data := cache.Encode(key, cachetest.Entry("x", dice.IntN(20_000)))
		whole := bytes.Clone(data)
		for range 1 + round%8 {
			data[dice.IntN(len(data))] ^= 1 << dice.IntN(8)
		}
		if bytes.Equal(data, whole) {
			continue // one bit was flipped twice
		}
		if _, err := cache.Decode(key, data); !errors.Is(err, cache.ErrCorrupt) {
			missed++
		}
	}
	if missed > 0 {
		t.Errorf("%d of %d damaged entries were not noticed", missed, rounds)
	}
}

func TestEnvelopeKnowsItsKey(t *testing.T) {
	data := cache.Encode(key, cachetest.Entry("x", 10))
	for _, other := range []cache.Key{
		{}, {Source: key.Source}, {Source: key.Source + key.Version, Variant: key.Variant},
		{Source: key.Source, Version: "v2", Variant: key.Variant}, {Source: key.Source, Version: key.Version, Variant: "300x201"},
	} {
		if _, err := cache.Decode(other, data); !errors.Is(err, cache.ErrCorrupt) {
			t.Errorf("decoded as %v: %v, want ErrCorrupt", other, err)
		}
	}
}

// TestEnvelopeBelievesNoLength has a right checksum over wrong lengths, as only a bug or malice makes.
func TestEnvelopeBelievesNoLength(t *testing.T) {
	for field := range 5 {
		for _, length := range []uint32{1 << 31, 1<<32 - 1, 1000, 60} {
			data := cache.Encode(key, cachetest.Entry("x", 10))
			binary.LittleEndian.PutUint32(data[4+4*field:], length)
			content := data[:len(data)-8]
			binary.LittleEndian.PutUint64(data[len(content):], xxhash.Sum64(content))
			allocated := testing.AllocsPerRun(1, func() {
				if e, err := cache.Decode(key, data); err == nil && len(e.Body) > 10 {
					t.Errorf("field %d of %d bytes: decoded %d bytes", field, length, len(e.Body))
				}
			})
			if allocated > 20 {
				t.Errorf("field %d of %d bytes: %v allocations", field, length, allocated)
			}
		}
	}
}

func TestEnvelopeBodyIsNotCopied(t *testing.T) {
	data := cache.Encode(key, cachetest.Entry("x", 1<<20))
	allocated := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if _, err := cache.Decode(key, data); err != nil {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if allocated > 1024 {
		t.Errorf("decoding 1 MiB allocates %d bytes", allocated)
	}
}

// FuzzEnvelope holds that what was encoded is decoded, and that one changed byte is either noticed or was no change.
func FuzzEnvelope(f *testing.F) {
	f.Add("cat", "v1", "300x200", "image/webp", []byte("body"), 300, 200, int64(1_700_000_000), int64(1_700_000_000_123), int64(5), 70, byte(1))
	f.Add("", "", "", "", []byte{}, 0, 0, int64(0), int64(-62135596800000), int64(0), 0, byte(0))
	f.Fuzz(func(t *testing.T, source, version, variant, contentType string, body []byte,
		width, height int, modified, stored, cost int64, at int, mask byte,
	) {
		const year9999 = 253402300799 // beyond it a time has no Unix milliseconds that come back
		k := cache.Key{Source: source, Version: version, Variant: variant}
		e := cache.NewEntry(cache.Entry{
			Body: body, ContentType: contentType, Width: width & 0x7fffffff, Height: height & 0x7fffffff,
			Modified: time.Unix(modified%year9999, 0), Cost: time.Duration(cost),
		})
		e.Stored = time.UnixMilli(stored % (year9999 * 1000))
		data := cache.Encode(k, e)
		got, err := cache.Decode(k, data)
		if err != nil {
			t.Fatal(err)
		}
		cachetest.Equal(t, got, e)

		changed := bytes.Clone(data)
		changed[(at&0x7fffffff)%len(data)] ^= mask
		if got, err = cache.Decode(k, changed); err == nil {
			cachetest.Equal(t, got, e)
		} else if !errors.Is(err, cache.ErrCorrupt) || mask == 0 {
			t.Errorf("byte %d changed by %x: %v", at, mask, err)
		}
	})
}

// FuzzDecode holds that what is decoded at all encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	f.Add("products/cat", "v1", "300x200", cache.Encode(key, cachetest.Entry("x", 10)))
	f.Add("", "", "", []byte("DKL\x01"))
	f.Fuzz(func(t *testing.T, source, version, variant string, data []byte) {
		k := cache.Key{Source: source, Version: version, Variant: variant}
		e, err := cache.Decode(k, data)
		if err != nil {
			if e != nil || !errors.Is(err, cache.ErrCorrupt) {
				t.Errorf("Decode = %v, %v", e, err)
			}
			return
		}
		if !bytes.Equal(cache.Encode(k, e), data) {
			t.Error("another encoding than was decoded")
		}
	})
}

func TestNames(t *testing.T) {
	seen := make(map[string]cache.Key)
	for _, k := range []cache.Key{
		{}, {Source: "a"}, {Version: "a"}, {Variant: "a"}, {Source: "a", Version: "1", Variant: "23"},
		{Source: "a", Version: "12", Variant: "3"}, {Version: "1", Variant: ":a"}, {Source: "a/b"}, {Source: "../../etc/passwd\x00"},
	} {
		source, variant := cache.SourceName(k.Source), cache.VariantName(k)
		if !cache.IsName(source) || !cache.IsName(variant) {
			t.Errorf("%v has the names %q and %q", k, source, variant)
		}
		if other, taken := seen[source+variant]; taken {
			t.Errorf("%v and %v have one name", k, other)
		}
		seen[source+variant] = k
	}
	for _, text := range []string{"", "abc", "0123456789ABCDEF0123456789abcdef", "0123456789abcdef0123456789abcde/", "0123456789abcdef0123456789abcdef0"} {
		if cache.IsName(text) {
			t.Errorf("IsName(%q)", text)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	e := cachetest.Entry("x", 16<<10)
	b.ReportAllocs()
	for b.Loop() {
		cache.Encode(key, e)
	}
}

func BenchmarkDecode(b *testing.B) {
	data := cache.Encode(key, cachetest.Entry("x", 16<<10))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cache.Decode(key, data); err != nil {
			b.Fatal(err)
		}
	}
}
