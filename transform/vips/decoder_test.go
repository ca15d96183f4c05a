package vips

import (
	"strings"
	"testing"
)

func TestDecoderFloors(t *testing.T) {
	webp, heif := decoderRows[0], decoderRows[1]
	const none = 0
	tests := []struct {
		name      string
		row       decoderRow
		number    uint
		installed string
		want      Safety
		says      string
	}{
		{"absent", webp, none, "", Safe, "libwebp none"},
		{"first good", webp, 0x010302, "", Safe, "libwebp 1.3.2"},
		{"later", webp, 0x020000, "1.2.4-0.2", Safe, "libwebp 2.0.0"},
		{"old, no packages", webp, 0x010301, "", Unknown, "older than 1.3.2"},
		{"old, corrected by Debian", webp, 0x010204, "1.2.4-0.2+deb12u1", Mended, "1.2.4-0.2+deb12u1"},
		{"old, corrected twice", webp, 0x010204, "1.2.4-0.2+deb12u10", Mended, "corrected"},
		{"old, not corrected", webp, 0x010204, "1.2.4-0.2", Vulnerable, "lacks corrections"},
		{"old, before the correction", webp, 0x010204, "1.2.4-0.2+deb12u1~rc1", Vulnerable, "upgrade"},
		{"old, of another build than the package", webp, 0x010200, "1.2.4-0.2+deb12u1", Unknown, "of no package"},
		{"old, of a package nobody here knows", webp, 0x010202, "1.2.2-2ubuntu9", Unknown, "older than"},
		{"heif, good", heif, 0x01130500, "", Safe, "libheif 1.19.5"},
		{"heif, corrected by Debian", heif, 0x010f0100, "1.15.1-1+deb12u1", Mended, "libheif 1.15.1"},
		{"heif, not corrected", heif, 0x010f0100, "1.15.1-1", Vulnerable, "1.19.0"},
	}
	for _, tt := range tests {
		d := tt.row.judge(tt.number, func([]string) string { return tt.installed })
		if d.Safety != tt.want || !strings.Contains(d.String(), tt.says) {
			t.Errorf("%s: %d, %q; want %d and %q", tt.name, d.Safety, d, tt.want, tt.says)
		}
		if wanting := tt.want == Unknown || tt.want == Vulnerable; Doubtful("libvips 8.16.1, "+d.String()) != wanting {
			t.Errorf("%s: doubtful is not %v", d, wanting)
		}
	}
}

// The libraries that are loaded here must be found, or nothing that is said of them means a thing.
func TestDecodersAreFound(t *testing.T) {
	for _, d := range Decoders() {
		if d.Version == "" || d.Version[0] < '1' || d.Safety == Vulnerable {
			t.Errorf("%+v", d)
		}
		if !strings.Contains(Backend(), d.Name+" "+d.Version) {
			t.Errorf("%s is not in %q", d.Name, Backend())
		}
	}
}

// A package that lacks corrections keeps the engine from starting.
func TestSelfTestRefusesVulnerableDecoders(t *testing.T) {
	rows := decoderRows
	defer func() { decoderRows = rows }()
	decoderRows = []decoderRow{rows[0]}
	version := Decoders()[0].Version
	decoderRows[0].least = [3]int{9, 9, 9}
	records := packageRecords
	defer func() { packageRecords = records }()
	packageRecords = []string{t.TempDir() + "/status"}
	writeRecord(t, packageRecords[0], "Package: libwebp7\nStatus: install ok installed\nVersion: "+version+"-0.1\n")
	decoderRows[0].packages, decoderRows[0].mended = []string{"libwebp7"}, []string{version + "-0.2"}
	if err := SelfTest(); err == nil || !strings.Contains(err.Error(), "libwebp") {
		t.Errorf("SelfTest: %v", err)
	}
	decoderRows[0].mended = []string{version + "-0.1"}
	if err := SelfTest(); err != nil {
		t.Error(err)
	}
}
