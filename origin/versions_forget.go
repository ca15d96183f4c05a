package origin

// Forget invalidates every source that covers accepts and that is remembered or being asked about.
func (v *Versions) Forget(covers func(id string) bool) {
	for i := range v.shards {
		s := &v.shards[i]
		s.mu.Lock()
		for _, id := range s.known.Keys() {
			if covers(id) {
				s.known.Remove(id)
			}
		}
		for id := range s.asked {
			if covers(id) {
				delete(s.asked, id)
			}
		}
		s.mu.Unlock()
	}
}
