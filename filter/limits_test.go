package filter_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"deckle/filter"
)

// TestPatterns holds that a pattern means the same to RE2, as SQLite has it, and as PostgreSQL reads its translation.
func TestPatterns(t *testing.T) {
	texts := []string{
		"a", "ab", "abc", "A", "aB", "b", "aaa", "abab", "a b", "a\nb", "a\n", "\na", "\n", " ", "foo bar", "foo-bar", "_", "é", "É", "ſ", "s", "K",
		"\u212a", "k", "😀", "\uffff", "日本", "\u2028", "a.b", "a+b", `\`, "]", "[", "^", "-", "$", "#", "{2}", "a{2}", "1", "٣", "\t", "\v", "x\ry", "ß",
		"Straße", "STRASSE", "µ", "μ", "\x01", "\x7f", "\u00a0", "word", "9", "aa", "ba",
	}
	patterns := []struct{ text, options string }{
		{"", ""}, {"a", ""}, {"A", "i"}, {"^a", ""}, {"a$", ""}, {"^a$", "m"}, {"^b", "m"}, {"a.b", ""}, {"a.b", "s"}, {"^$", ""}, {"^$", "m"}, {`\Aa\z`, ""},
		{`\bb`, ""}, {`\Bb`, ""}, {`\b`, ""}, {`\B`, ""}, {`^\B$`, ""}, {"[[:alpha:]]", ""}, {"[^[:alpha:]]", ""}, {`\d`, ""}, {`\D`, ""}, {`\w`, ""}, {`\W`, ""},
		{`\s`, ""}, {`\S`, ""}, {`\pL`, ""}, {`\PL`, ""}, {`\p{Greek}`, ""}, {`^\pN+$`, ""}, {"s", "i"}, {"k", "i"}, {"µ", "i"}, {"ß", "i"}, {"straße", "i"}, {"[a-k]", "i"}, {"[^a-k]", "i"},
		{"(?:ab)+", ""}, {"^(?:ab){2}$", ""}, {"a{2,3}", ""}, {"^a{2,}$", ""}, {"a{0}", ""}, {"^(?:a{0})*$", ""}, {"a??b", ""}, {"a*?$", ""}, {"(a|b)*c", ""}, {"^(a|)$", ""}, {"(|a)+", ""},
		{"(?:)", ""}, {"(?:^)*a", ""}, {"(?:^a|b$)+", ""}, {"(?:$)+", ""}, {`(?:\b)?b`, ""}, {`(?:\b\w+\b ?)+$`, ""}, {`^(?:\ba)*`, ""}, {"[^\\x00-\\x{10FFFF}]", ""}, {"(?:[^\\x00-\\x{10FFFF}])?a", ""},
		{`\Qa.b\E`, ""}, {`\Qa b\E`, "x"}, {"a b", "x"}, {`a\ b`, "x"}, {"a[ ]b", "x"}, {"a # comment\nb", "x"}, {"a{2 }", ""}, {"[]a]", "x"}, {"[^]a ]", "x"}, {"[[:space:]]", "x"},
		{`\.`, ""}, {`\\`, ""}, {`\]`, ""}, {`[\]\[\^\-]`, ""}, {"[$#]", ""}, {`\{2\}`, ""}, {`\t`, ""}, {`\v`, ""}, {`\x{1F600}`, ""}, {"[\\x{FFFF}-\\x{1F600}]", ""}, {"😀|é", ""}, {"É", "i"},
		{"(?i)AB(?-i)c", ""}, {"(?P<name>a)b", ""}, {"(?s).\\z", ""}, {"(?m)a$", ""}, {"(?U)a+", ""}, {"^.$", ""}, {"^.$", "s"}, {"[^a]", ""}, {"^[^a]*$", ""}, {`[\s\S]`, ""}, {`***=a`, ""}, {`(?:***:)`, ""}, {"^[\\x00-\\x{D7FF}]+$", ""}, {"^[\\x{D800}-\\x{DFFF}]", ""},
		{strings.Repeat("(?:", 120) + "a" + strings.Repeat(")?", 120), ""}, {`(?:(?:a{1,5}){1,5}){1,5}`, ""}, {`(?:\pL{2}){5}`, ""}, {"a{255}", ""}, {"(?:a|b|ab)*$", ""},
		{`(?:\b\w){11}`, ""}, {strings.Repeat(`\b`, 11), ""}, {"(?:a?){100}a{100}", ""}, {"(.*)(.*)(.*)(.*)(.*)[^a]$", ""}, {"(x+x+)+y", ""}, {"(?:.{0,9}a){20}", ""},
	}
	g := generator{rand.New(rand.NewPCG(1, 2))}
	for range 150 {
		patterns = append(patterns, struct{ text, options string }{g.expression(3), pick(g, "", "i", "m", "s", "im")})
	}
	docs := []filter.Doc{}
	for _, text := range append(texts, strings.Repeat("x", 3000), strings.Repeat("ab ", 500)) {
		docs = append(docs, filter.Doc{{Key: "file", Value: text}, {Key: "data", Value: filter.Doc{{Key: "a", Value: text}}}})
	}
	all := databases(t)
	for _, d := range all {
		d.fill(t, docs)
	}
	read := 0
	for i, pattern := range patterns {
		path := []string{"data.a", "file"}[i%2]
		f, err := filter.Regex(path, pattern.text, pattern.options, columns)
		if err != nil {
			if i < len(patterns)-150 && pattern.text != "(?:***:)" && pattern.text != "***=a" {
				t.Errorf("%s %s: %v", pattern.text, pattern.options, err)
			}
			continue
		}
		read++
		want := matched(f, docs)
		for _, d := range all {
			begin := time.Now()
			if got := d.matching(t, f); !slices.Equal(got, want) {
				for id, doc := range docs {
					if slices.Contains(got, id) != slices.Contains(want, id) {
						t.Errorf("%s: %q %s over %.40q: %v", d.name, pattern.text, pattern.options, doc[0].Value, slices.Contains(got, id))
					}
				}
			}
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("%s: %q took %v", d.name, pattern.text, took)
			}
		}
	}
	if read < 200 {
		t.Errorf("only %d patterns were read", read)
	}
}

// expression makes a pattern.
func (g generator) expression(depth int) string {
	if depth == 0 {
		return pick(g, "a", "b", "A", "é", ".", `\w`, `\W`, `\s`, "[ab]", "[^a]", "^", "$", `\b`, `\B`, " ", `\n`, "ſ", "(?i:k)", `\pL`)
	}
	switch g.IntN(5) {
	case 0:
		return "(" + g.expression(depth-1) + ")" + pick(g, "*", "+", "?", "*?", "{2}", "{0,3}", "{1,}")
	case 1:
		return "(?:" + g.expression(depth-1) + "|" + g.expression(depth-1) + ")"
	}
	return g.expression(depth-1) + g.expression(depth-1)
}

// TestNumbers holds that both databases read every float64 as Go does.
func TestNumbers(t *testing.T) {
	g := rand.New(rand.NewPCG(3, 4))
	numbers := []string{"0", "-0", "0.0", "1e0", "100e-2", "1E+2", "9007199254740993", "18446744073709551616", "-9223372036854775809", "1e-400", "5e-324", "2.2250738585072011e-308",
		"1.7976931348623157e308", "123456789012345678901234567890", "0.1000000000000000055511151231257827", "1e22", "1e23", "8.5e22", "9223372036854775807", strings.Repeat("9", 300), "0." + strings.Repeat("0", 300) + "1"}
	for range 300 {
		f := math.Float64frombits(g.Uint64())
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			numbers = append(numbers, strconv.FormatFloat(f, 'g', -1, 64))
		}
		numbers = append(numbers, strconv.FormatFloat(g.Float64()*1000, 'g', -1, 64), strconv.FormatInt(int64(g.Uint64()), 10))
	}
	all := databases(t)
	for _, d := range all {
		ids := 0
		tx, err := d.db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		for _, number := range numbers {
			text, err := filter.Canonical([]byte(`{"n":` + number + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec("INSERT INTO r VALUES ($1, '', 0, 0, NULL, '', $2)", ids, text); err != nil {
				t.Fatal(err)
			}
			ids++
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		wrong := 0
		for i, number := range numbers {
			want, _ := strconv.ParseFloat(number, 64)
			f, err := filter.Equal("data.n", want, columns)
			if err != nil {
				t.Fatal(err)
			}
			condition, args := f.SQL(d.dialect, 2)
			var n int
			if err := d.db.QueryRowContext(t.Context(), "SELECT count(*) FROM r WHERE id = $1 AND "+condition, append([]any{i}, args...)...).Scan(&n); err != nil {
				t.Fatal(d.name, err)
			}
			if n != 1 {
				wrong++
				t.Logf("%s: %s is not read as %v", d.name, number, want)
			}
		}
		if wrong > 0 {
			t.Errorf("%s: %d of %d numbers are read otherwise", d.name, wrong, len(numbers))
		}
	}
}

// TestLimits holds that the largest filters that Parse takes are ones that the databases take.
func TestLimits(t *testing.T) {
	list := func(n int, one func(i int) string) string {
		all := []string{}
		for i := range n {
			all = append(all, one(i))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	nest := func(n int, before, inner, after string) string {
		return strings.Repeat(before, n) + inner + strings.Repeat(after, n)
	}
	tests := map[string]string{
		"texts":      `{"data.a":{"$in":` + list(1000, strconv.Itoa) + `}}`,
		"indexes":    `{"data.0.1.2.a.a.a.a.a.a.a.a.a":{"$in":` + list(500, func(i int) string { return strconv.Quote(strconv.Itoa(i)) }) + `}}`,
		"all":        `{"data.a":{"$all":` + list(100, strconv.Itoa) + `}}`,
		"and":        `{"$and":` + list(98, func(i int) string { return fmt.Sprintf(`{"data.a%d":{"$gt":%d}}`, i, i) }) + `}`,
		"or":         `{"$or":` + list(98, func(i int) string { return fmt.Sprintf(`{"data.a.b.c%d":%d}`, i, i) }) + `}`,
		"deep":       nest(11, `{"$nor":[`, `{"data.a":1}`, `]}`),
		"deep or":    nest(10, `{"$or":[{"data.b":2},`, `{"data.a":1}`, `]}`),
		"elemMatch":  `{"data.a":` + nest(20, `{"$elemMatch":`, `{"$gt":1}`, `}`) + `}`,
		"elemMatch2": `{"data.a":` + nest(5, `{"$elemMatch":{"b.c":`, `{"$gt":1}`, `}}`) + `}`,
		"not":        `{"data.a":` + nest(18, `{"$not":`, `{"$gt":1}`, `}`) + `}`,
		"document":   `{"data.a":` + nest(20, `{"a":`, `1`, `}`) + `}`,
		"array":      `{"data.a":` + list(600, strconv.Itoa) + `}`,
		"documents":  `{"data.a":{"$in":` + list(200, func(i int) string { return fmt.Sprintf(`{"a":%d,"b":[%d]}`, i, i) }) + `}}`,
		"elemMatch3": `{"data.a":` + nest(6, `{"$elemMatch":{"b.c":`, `{"$gt":1}`, `}}`) + `}`,
		"elemMatch4": `{"data.a":` + nest(3, `{"$elemMatch":{"0.a":`, `{"$in":[1,[1]]}`, `}}`) + `}`,
		"path":       `{"data` + strings.Repeat(".a", 12) + `":{"$in":[1,"a",null,{"a":1},[1]]}}`,
		"indexes2":   `{"data.0.0.0.a.a":{"$in":[1,"a",null,{"a":1},[1]]}}`,
	}
	all := databases(t)
	doc := filter.Doc{{Key: "data", Value: filter.Read(t, `{"a":[{"a":1,"b":[{"c":2}]},5]}`)}}
	for _, d := range all {
		d.fill(t, []filter.Doc{doc})
	}
	for name, text := range tests {
		f, err := filter.Parse([]byte(text), columns)
		if err != nil {
			t.Errorf("%s is refused: %v", name, err)
			continue
		}
		for _, d := range all {
			begin := time.Now()
			if got, want := d.matching(t, f), matched(f, []filter.Doc{doc}); !slices.Equal(got, want) {
				t.Errorf("%s: %s: %v, want %v", d.name, name, got, want)
			}
			condition, args := f.SQL(d.dialect, 1)
			var n int
			wrapped := "SELECT count(*) FROM r WHERE " + strings.Repeat("NOT ", 40) + condition // as a larger statement may
			if err := d.db.QueryRowContext(t.Context(), wrapped, args...).Scan(&n); err != nil {
				t.Errorf("%s: %s in a larger one: %v", d.name, name, err)
			}
			t.Logf("%s: %s: %v, %d bytes, %d arguments", d.name, name, time.Since(begin), len(condition), len(args))
		}
	}
	for name, text := range map[string]string{
		"elemMatch": `{"data.a":` + nest(10, `{"$elemMatch":{"b.c":`, `{"$gt":1}`, `}}`) + `}`,
		"ways":      `{"data.a":` + nest(11, `{"$elemMatch":{"0.0.0":`, `1`, `}}`) + `}`,
		"ways2":     `{"data.a":` + nest(11, `{"$elemMatch":{"0":`, `1`, `}}`) + `}`,
		"all":       `{"data.a":{"$all":` + list(101, strconv.Itoa) + `}}`,
		"in":        `{"data.a":{"$in":` + list(1001, strconv.Itoa) + `}}`,
		"documents": `{"data.a":{"$in":` + list(900, func(int) string { return `{"a":{"b":{}}}` }) + `}}`,
	} {
		if f, err := filter.Parse([]byte(text), columns); err == nil {
			condition, args := f.SQL(filter.Postgres, 1)
			t.Errorf("%s is taken: %d bytes, %d arguments", name, len(condition), len(args))
		}
	}
}

// TestPlaces holds that conditions join others: placeholders begin where they are told to, and NOT of a condition is its opposite.
func TestPlaces(t *testing.T) {
	all := databases(t)
	docs := []filter.Doc{{{Key: "file", Value: "a"}}, {{Key: "file", Value: "b"}}, {}, {{Key: "bytes", Value: 5.0}}}
	one, err := filter.Equal("file", "a", columns)
	if err != nil {
		t.Fatal(err)
	}
	two, err := filter.Parse([]byte(`{"bytes":{"$lt":9}}`), columns)
	if err != nil {
		t.Fatal(err)
	}
	if both := filter.And(nil, one, &filter.Filter{}, two); both.Empty() || both.String() != `{"file":{"$eq":"a"},"bytes":{"$lt":9}}` || !filter.And(nil, nil).Empty() {
		t.Errorf("And is %s", both)
	}
	for _, d := range all {
		d.fill(t, docs)
		for _, f := range []*filter.Filter{one, two, nil, {}} {
			condition, args := f.SQL(d.dialect, 3)
			var n int
			query := "SELECT count(*) FROM r WHERE id >= $1 AND id < $2 AND " + condition
			if err := d.db.QueryRowContext(context.Background(), query, append([]any{0, 100}, args...)...).Scan(&n); err != nil {
				t.Fatalf("%s: %s: %v", d.name, query, err)
			}
			if want := len(matched(f, docs)); n != want {
				t.Errorf("%s: %s selects %d, want %d", d.name, f, n, want)
			}
		}
	}
}

func TestCanonical(t *testing.T) {
	tests := []struct{ text, want string }{
		{` { "b" : 1 , "a" : [ ] } `, `{"b":1,"a":[]}`},
		{`{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`},
		{`{"a":"\u00e9\ud83d\ude00\ud800<\/"}`, `{"a":"é😀` + "\ufffd" + `</"}`},
		{`{"a":1.00,"b":1e-999,"c":12345678901234567890,"d":-0.0}`, `{"a":1.00,"b":0,"c":12345678901234567890,"d":0}`},
		{`{"a":null,"b":[true,{"c":{}}]}`, `{"a":null,"b":[true,{"c":{}}]}`},
		{`{"a":1e999}`, ""}, {`{"a":"\u0000"}`, ""}, {`{"\u0000":1}`, ""}, {`[]`, ""}, {`{`, ""}, {`{"a":1}x`, ""},
		{strings.Repeat(`{"a":`, 101) + "1" + strings.Repeat("}", 101), ""},
	}
	for _, test := range tests {
		got, err := filter.Canonical([]byte(test.text))
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%.60s: %s, %v, want %s", test.text, got, err, test.want)
		}
		if again, err := filter.Canonical([]byte(got)); got != "" && (again != got || err != nil) {
			t.Errorf("%s again: %s, %v", got, again, err)
		}
	}
}
