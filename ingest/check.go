package ingest

import (
	"context"
	"errors"
	"fmt"

	"deckle/origin"
)

// checkPage is how many records Check reads at a time.
const checkPage = 500

// Check looks every record's source up in the store and returns the ids of those that are not there, in order. None is ever
// missing unless somebody removed it from the store behind Deckle's back.
func (s *Service) Check(ctx context.Context) (missing []string, err error) {
	for last := ""; ; {
		page, err := s.config.Catalog.Records(ctx, last, checkPage)
		if err != nil {
			return missing, err
		}
		if len(page) == 0 {
			return missing, nil
		}
		for _, record := range page {
			last = record.ID
			_, err := s.config.Store.Stat(ctx, record.ID)
			if errors.Is(err, origin.ErrNotFound) {
				missing = append(missing, record.ID)
			} else if err != nil {
				return missing, fmt.Errorf("look for source: %w", err)
			}
		}
	}
}
