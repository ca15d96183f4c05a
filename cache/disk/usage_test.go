package disk

import "testing"

// TestUsageNeverCountsTooLittle has files come and go in every order relative to a count of the tree.
func TestUsageNeverCountsTooLittle(t *testing.T) {
	const limit = 100
	cases := []struct {
		name        string
		before      func(u *usage) // the count begins
		counted     int64
		during      func(u *usage) // between what the count saw and its end
		taken, real int64
	}{
		{name: "nothing happens", counted: 30, taken: 30, real: 30},
		{name: "a file goes before it is met", counted: 20, during: func(u *usage) { u.remove(10) }, taken: 20, real: 20},
		{name: "a file goes after it is met", counted: 30, during: func(u *usage) { u.remove(10) }, taken: 30, real: 20},
		{name: "a file comes and is not met", counted: 30, during: func(u *usage) { store(u, 10) }, taken: 40, real: 40},
		{name: "a file comes and is met", counted: 40, during: func(u *usage) { store(u, 10) }, taken: 50, real: 40},
		{name: "a file is being written all the time", before: func(u *usage) { u.reserve(10, limit) }, counted: 30, taken: 40, real: 40},
		{
			name: "a file that was being written comes", before: func(u *usage) { u.reserve(10, limit) }, counted: 30,
			during: func(u *usage) { u.settle(10, true) }, taken: 40, real: 40,
		},
		{
			name: "a write fails", before: func(u *usage) { u.reserve(10, limit) }, counted: 30,
			during: func(u *usage) { u.settle(10, false) }, taken: 30, real: 30,
		},
	}
	for _, c := range cases {
		var u usage
		store(&u, 30)
		if c.before != nil {
			c.before(&u)
		}
		u.beginCount()
		if c.during != nil {
			c.during(&u)
		}
		u.endCount(c.counted)
		if got := u.taken(); got != c.taken || got < c.real {
			t.Errorf("%s: %d bytes taken, want %d; %d are real", c.name, got, c.taken, c.real)
		}
	}
}

func TestUsageKeepsTheLimit(t *testing.T) {
	var u usage
	store(&u, 60)
	if taken, ok := u.reserve(40, 100); !ok || taken != 100 {
		t.Errorf("reserve up to the limit = %d, %v", taken, ok)
	}
	if taken, ok := u.reserve(1, 100); ok || taken != 101 {
		t.Errorf("reserve beyond the limit = %d, %v", taken, ok)
	}
	u.beginCount()
	u.remove(20)
	u.cancelCount()
	u.remove(20)
	if got := u.taken(); got != 80 {
		t.Errorf("%d taken after a count that was given up, want 80", got)
	}
}

func store(u *usage, size int64) {
	u.reserve(size, 1<<30)
	u.settle(size, true)
}
