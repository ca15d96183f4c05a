package origintest

import "strings"

// HostileIDs returns ids outside the grammar: every store answers ErrBadID to each and touches nothing.
func HostileIDs() []string {
	ids := []string{
		// Emptiness and slashes.
		"", "/", "//", "/cat", "cat/", "cat//dog", "//cat", "///etc/passwd", "/etc/passwd", "/../etc/passwd",
		// Dots.
		".", "..", "...", "./cat", "../cat", "cat/.", "cat/..", "cat/../dog", "cat/./dog", "../../../../etc/passwd", "a/b/../../..",
		"cat/...", ".hidden", "cat/.hidden", ".tmp", ".tmp/lock", ".original", "cat/.original", "..cat", "....//....//etc/passwd",
		// Percent-encoding that somebody forgot to undo, once, twice and overlong.
		"%2e%2e", "%2e%2e/cat", "%2e%2e%2fcat", "..%2fcat", "%252e%252e%252fcat", "%00", "cat%00", "%c0%ae%c0%ae/cat", "..%c0%afcat",
		"%u002e%u002e", "%2Fcat", "cat%2f..%2fdog",
		// Backslashes and drives.
		`\`, `..\cat`, `cat\..\dog`, `\\server\share\cat`, `C:\cat`, "C:cat", "C:/cat", "cat:stream", `cat\`, `cat/..\..\dog`,
		// Control characters and blanks.
		"\x00", "cat\x00", "cat\x00.jpg", "cat\n", "cat\r\ndog", "\tcat", " cat", "cat ", "cat dog", "cat\x7f", "cat\x1b[31m", "cat\u0085",
		"cat\u00a0", "cat\u2028", "\ufeffcat", "cat\u200b", "cat\u200d", "\u202ecat",
		// Bytes that are not UTF-8: overlong dots and slashes, a surrogate, a lone continuation.
		"\xc0\xae\xc0\xae/cat", "\xe0\x80\xae", "..\xc0\xaf", "\xed\xa0\x80", "cat\x80", "\xff\xfe", "\xf5\x80\x80\x80",
		// Characters that look like dots and slashes.
		"\uff0e\uff0e/cat", "\uff0e\uff0e\uff0fcat", "cat\u2215dog", "cat\u2044dog", "\u2024\u2024/cat", "\u2025/cat", "\u2026", "cat\uff3cdog",
		// Forms that compose to another spelling.
		"cafe\u0301", "A\u030a", "\u212b", "\u1100\u1161",
		// What shells, URLs and SQL read something into.
		"~/cat$HOME", "$(cat)", "`cat`", "cat;ls", "cat|ls", "cat&dog", "cat?x=1", "cat#x", "cat*", "[cat]", "{cat,dog}", "<cat>", "'cat'",
		`"cat"`, "cat=dog", "cat+dog", "cat,dog", "cat@dog", "cat!", "^cat", "(cat)", "http://127.0.0.1/cat", "file:///etc/passwd",
		"//127.0.0.1/cat", "s3://bucket/cat", "\U0001f408",
		// Length and depth.
		strings.Repeat("a", 129), strings.Repeat("a", 10_000), strings.Repeat("a/", 127) + "aa", "1/2/3/4/5/6/7/8/9",
		strings.Repeat("é", 65), strings.Repeat(strings.Repeat("a", 63)+"/", 3) + strings.Repeat("a", 64), strings.Repeat("/", 300),
	}
	// Ways up, by the number of steps, the separator and what goes before.
	for _, separator := range []string{"/", `\`, "%2f", "%5c", "/./", "//"} {
		for _, before := range []string{"", "cat" + separator, separator} {
			for _, up := range []string{"..", "%2e%2e", ".%2e", "..;", "..\x00", "%252e%252e"} {
				ids = append(ids, before+up+separator+"dog")
			}
		}
	}
	return ids
}
