package file

import (
	"context"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"deckle/origin"
)

var _ origin.Areas = (*Store)(nil)

// Room returns the directory of that area as a store of its own, and makes it if need be. It is closed with s.
func (s *Store) Room(area origin.Area, _ string) (origin.Room, error) {
	s.roomsMu.Lock()
	defer s.roomsMu.Unlock()
	if room := s.rooms[area]; room != nil {
		return room, nil
	}
	room, err := New(filepath.Join(s.dir, area.Dir()))
	if err != nil {
		return nil, err
	}
	if s.rooms == nil {
		s.rooms = map[origin.Area]*Store{}
	}
	s.rooms[area] = room
	return room, nil
}

// Rooms returns the one there is.
func (s *Store) Rooms(area origin.Area) ([]origin.Room, error) {
	room, err := s.Room(area, "")
	return []origin.Room{room}, err
}

// List reads the directory.
func (s *Store) List(ctx context.Context, after string, limit int) (page []origin.Listed, err error) {
	entries, err := fs.ReadDir(s.root.FS(), ".") // in order
	if err != nil {
		return nil, origin.StoreFault("list originals", err)
	}
	from, found := slices.BinarySearchFunc(entries, after, func(e fs.DirEntry, after string) int { return strings.Compare(e.Name(), after) })
	if found {
		from++
	}
	for _, entry := range entries[from:] {
		if len(page) == limit || ctx.Err() != nil {
			break
		}
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || origin.CheckID(entry.Name()) != nil {
			continue // gone meanwhile, or not ours
		}
		page = append(page, origin.Listed{ID: entry.Name(), Modified: info.ModTime()})
	}
	return page, ctx.Err()
}
