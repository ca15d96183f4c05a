package memory

import "testing"

// TestResize: what a tier loses of its size it drops at once, and what it gets back it fills again.
func TestResize(t *testing.T) {
	const limit, size = 1 << 20, 10 << 10
	tier := open(t, limit)
	fill := func() int64 {
		for i := range 200 {
			set(t, tier, nth(i), size)
			tier.Wait()
		}
		return weigh(t, tier, 200)
	}
	if held := fill(); held < limit/2 {
		t.Fatalf("holds %d bytes before", held)
	}
	tier.Resize(limit / 4)
	tier.Wait()
	if held := weigh(t, tier, 200); held > limit/4 || held < limit/8 {
		t.Errorf("holds %d bytes of %d", held, limit/4)
	}
	if held := fill(); held > limit/4 {
		t.Errorf("holds %d bytes of %d after more writes", held, limit/4)
	}
	tier.Resize(2 * limit)
	if held := fill(); held > limit || held < limit/2 {
		t.Errorf("holds %d bytes of %d once it is as large as before", held, limit)
	}
}
