package vips

import (
	"os"
	"testing"
)

func writeRecord(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRecordedVersion(t *testing.T) {
	const records = "Package: other\nStatus: install ok installed\nVersion: 9\n\n" +
		"Package: gone\nStatus: deinstall ok config-files\nVersion: 8\n\n" +
		"Package: libwebp7\nStatus: install ok installed\nDescription: a\n Version: 7\nVersion: 1:1.2.4-0.2+deb12u1\n"
	for name, want := range map[string]string{"libwebp7": "1:1.2.4-0.2+deb12u1", "other": "9", "gone": "", "absent": ""} {
		if got := recordedVersion([]byte(records), []string{name}); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := recordedVersion([]byte("Package: bare\nVersion: 3"), []string{"bare"}); got != "3" {
		t.Errorf("without a status: %q", got)
	}
}

func TestCompareVersions(t *testing.T) {
	// Each is older than the next.
	rising := []string{
		"1.2.4~rc1-1", "1.2.4-0.2", "1.2.4-0.2+deb12u1~bpo1", "1.2.4-0.2+deb12u1", "1.2.4-0.2+deb12u2", "1.2.4-0.2+deb12u10",
		"1.2.4-0.10", "1.2.4-1", "1.2.4a-1", "1.2.4+dfsg-1", "1.2.10-1", "1.03.0-1", "2-1",
	}
	for i, a := range rising {
		for j, b := range rising {
			if got, want := compareVersions(a, b), sign(i-j); got != want {
				t.Errorf("%s to %s: %d, want %d", a, b, got, want)
			}
		}
	}
}

func sign(n int) int { return min(max(n, -1), 1) }

// FuzzCompareVersions: the order is one, whatever is compared.
func FuzzCompareVersions(f *testing.F) {
	f.Add("1.2.4-0.2", "1.2.4-0.2+deb12u1")
	f.Add("1:2~3", "-")
	f.Fuzz(func(t *testing.T, a, b string) {
		if compareVersions(a, a) != 0 || compareVersions(a, b) != -compareVersions(b, a) {
			t.Errorf("%q and %q: %d, %d", a, b, compareVersions(a, b), compareVersions(b, a))
		}
	})
}
