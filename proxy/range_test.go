package proxy

import (
	"errors"
	"testing"

	"deckle/origin"
)

func TestParseRange(t *testing.T) {
	const size = 1000
	tests := []struct {
		header string
		want   origin.Range
		ok     bool
		err    error
	}{
		{"bytes=0-499", origin.Range{Offset: 0, Length: 500}, true, nil},
		{"bytes=500-999", origin.Range{Offset: 500, Length: 500}, true, nil},
		{"bytes=999-", origin.Range{Offset: 999, Length: 1}, true, nil},
		{"bytes=0-", origin.Range{Offset: 0, Length: 1000}, true, nil},
		{"bytes=900-5000", origin.Range{Offset: 900, Length: 100}, true, nil},
		{"bytes=900-99999999999999999999", origin.Range{Offset: 900, Length: 100}, true, nil},
		{"bytes=-1", origin.Range{Offset: 999, Length: 1}, true, nil},
		{"bytes=-5000", origin.Range{Offset: 0, Length: 1000}, true, nil},
		{"Bytes=0-0", origin.Range{Offset: 0, Length: 1}, true, nil},
		{"bytes=1000-", origin.Range{}, false, errRange},
		{"bytes=99999999999999999999-", origin.Range{}, false, errRange},
		{"bytes=-0", origin.Range{}, false, errRange},
		{"bytes=5-4", origin.Range{}, false, nil},
		{"bytes=0-1,5-6", origin.Range{}, false, nil},
		{"bytes=-", origin.Range{}, false, nil},
		{"bytes=a-b", origin.Range{}, false, nil},
		{"bytes=+1-2", origin.Range{}, false, nil},
		{"bytes= 1-2", origin.Range{Offset: 1, Length: 2}, true, nil},
		{"bytes=1- 2", origin.Range{}, false, nil},
		{"lines=1-2", origin.Range{}, false, nil},
		{"bytes", origin.Range{}, false, nil},
	}
	for _, test := range tests {
		t.Run(test.header, func(t *testing.T) {
			got, ok, err := parseRange(test.header, size)
			if got != test.want || ok != test.ok || !errors.Is(err, test.err) {
				t.Errorf("got %+v, %v, %v", got, ok, err)
			}
		})
	}
}

func FuzzParseRange(f *testing.F) {
	f.Add("bytes=0-1", int64(10))
	f.Add("bytes=-7", int64(3))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 1 {
			return
		}
		r, ok, err := parseRange(header, size)
		if ok && (err != nil || r.Offset < 0 || r.Length < 1 || r.Offset+r.Length > size) {
			t.Errorf("%q of %d bytes gives %+v, %v", header, size, r, err)
		}
	})
}
