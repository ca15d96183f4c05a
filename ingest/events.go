package ingest

import (
	"deckle/catalog"
	"deckle/event"
)

// announceUpload makes the event of an upload, which is in the outbox when the record is in the catalog, and only then.
func announceUpload(r catalog.Record) []catalog.Event {
	kind := event.Uploaded
	if r.Updated.After(r.Created) {
		kind = event.Replaced
	}
	return []catalog.Event{Kept(event.OfSource(kind, r.Updated, sourceOf(r)))}
}

// sourceOf says of a record what events say.
func sourceOf(r catalog.Record) event.Source {
	s := event.Source{
		Width: r.Width, Height: r.Height, Source: r.ID, Version: r.Version, SHA256: r.SHA256, Bytes: r.Bytes, Format: r.Format,
	}
	if format, err := formatByName(r.Format); err == nil {
		s.ContentType = format.MediaType()
	}
	return s
}

// Kept spells an event as the outbox keeps it.
func Kept(e event.Event) catalog.Event {
	return catalog.Event{ID: e.ID, Kind: string(e.Kind), Source: e.Source, Time: e.Time, Data: e.Data}
}
