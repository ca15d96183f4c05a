package bench

import "testing"

func TestPicturesAreDistinctAndWithinBounds(t *testing.T) {
	c := Config{Workload: Miss, Targets: make([]Target, 1), Sources: []string{"a", "b", "c"}, MinSide: 7, MaxSide: 11, WarmUp: 1, Lanes: 1, Rounds: 2, Requests: 37, Seed: 1}
	p, err := newPictures(c)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[picture]bool)
	for {
		picture, ok := p.take()
		if !ok {
			break
		}
		if seen[picture] || picture.width < 7 || picture.width > 11 || picture.height < 7 || picture.height > 11 {
			t.Errorf("%+v is there twice or out of bounds", picture)
		}
		seen[picture] = true
	}
	if len(seen) != 75 { // all of 5 x 5 sizes of 3 sources
		t.Errorf("%d pictures, want 75", len(seen))
	}
	c.Requests = 38
	if _, err := newPictures(c); err == nil {
		t.Error("77 pictures of 75 were granted")
	}
}

func TestSameSeedSameOrder(t *testing.T) {
	order := func(seed uint64) [10]picture {
		p, err := newPictures(Config{Workload: Miss, Targets: make([]Target, 1), Sources: []string{"a"}, MinSide: 1, MaxSide: 10, WarmUp: 1, Lanes: 1, Rounds: 1, Requests: 99, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		var first [10]picture
		for i := range first {
			first[i] = p.at(i)
		}
		return first
	}
	one, again, two := order(1), order(1), order(2)
	if one != again || one == two {
		t.Error("the order does not follow the seed")
	}
}
