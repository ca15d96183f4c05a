package vips

import (
	"strings"
	"testing"
)

func TestSelfTest(t *testing.T) {
	if err := SelfTest(); err != nil {
		t.Error(err)
	}
	if n := len(lures()); n < 13 {
		t.Errorf("only %d decoys", n)
	}
}

// TestSelfTestRefusesToStart lets one loader after another run that is not to: each time the test must say so.
func TestSelfTestRefusesToStart(t *testing.T) {
	for _, test := range []struct{ class, name string }{
		{"VipsForeignLoadPpm", "ppm"},
		{"VipsForeignLoadRad", "radiance"},
	} {
		t.Run(test.name, func(t *testing.T) {
			allow(test.class, true)
			defer allow(test.class, false)
			if err := SelfTest(); err == nil || !strings.Contains(err.Error(), test.name) {
				t.Errorf("with %s unblocked: %v", test.class, err)
			}
		})
	}
}

// Which of the decoys the installed libvips would open if it were let: the more, the more the test means.
func TestLuresAreGood(t *testing.T) {
	allow("VipsForeignLoad", true)
	defer func() {
		allow("VipsForeignLoad", false)
		for _, class := range loaders {
			allow(class, true)
		}
	}()
	var opened []string
	for _, d := range lures() {
		if !Refuses(d.file) {
			opened = append(opened, d.name)
		}
	}
	t.Logf("%d of %d would be opened: %s", len(opened), len(lures()), strings.Join(opened, ", "))
	for _, name := range []string{"ppm", "pgm", "pbm", "pfm", "radiance"} { // these need no library
		if !strings.Contains(strings.Join(opened, ","), name) {
			t.Errorf("libvips does not know %s even unblocked: the decoy shows nothing", name)
		}
	}
}

func TestVersionFloor(t *testing.T) {
	for _, test := range []struct {
		version [3]int
		good    bool
	}{
		{[3]int{8, 16, 1}, true}, {[3]int{8, 16, 2}, true}, {[3]int{8, 17, 0}, true}, {[3]int{9, 0, 0}, true},
		{[3]int{8, 16, 0}, false}, {[3]int{8, 15, 9}, false}, {[3]int{7, 99, 99}, false},
	} {
		if got := reaches(test.version, least); got != test.good {
			t.Errorf("%v reaches %v: %v", test.version, least, got)
		}
	}
}
