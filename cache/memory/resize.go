package memory

// Resize sets the tier's limit, from nothing up to what it was made with, and drops entries at once, whichever they are, until
// it is below.
func (t *Tier) Resize(bytes int64) {
	bytes = min(max(bytes, 0), t.limit)
	t.items.UpdateMaxCost(max(bytes, 1))
	if t.bytes.Load() <= bytes {
		return
	}
	for _, hash := range t.index.all() {
		if t.bytes.Load() <= bytes {
			return
		}
		t.items.Del(hash)
	}
}

// all returns the hashes of all items.
func (x *index) all() []uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := make([]uint64, 0, x.items)
	for _, hashes := range x.hashes {
		for hash := range hashes {
			list = append(list, hash)
		}
	}
	return list
}
