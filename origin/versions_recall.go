package origin

import "time"

// Recall remembers what was known of a source before this memory began, as an answer of the store's at the given time, and
// that the store cannot be asked now. It changes nothing where something is remembered.
func (v *Versions) Recall(id string, info Info, at time.Time) {
	s := v.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known.Contains(id) {
		s.known.Add(id, remembered{info: info, at: at, failed: v.config.Now()})
	}
}
