package origin

import "context"

// Walker is a store that can tell what it holds.
type Walker interface {
	// Walk calls do with the id of each source, in no particular order, and stops at its first error. What comes or goes meanwhile
	// may be told of or not; what is in rooms is not. An id may turn out to be none when it is opened.
	Walk(ctx context.Context, do func(id string) error) error
}

var _ Walker = (*Route)(nil)

// Walk goes through the stores that can tell, and tells of the ids that are read from there.
func (r *Route) Walk(ctx context.Context, do func(id string) error) error {
	for _, rule := range r.rules {
		walker, ok := rule.Store.(Walker)
		if !ok {
			continue
		}
		err := walker.Walk(ctx, func(id string) error {
			if r.store(id) != rule.Store {
				return nil // another store's, that has the prefix
			}
			return do(id)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
