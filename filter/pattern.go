package filter

import (
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// pattern is a regular expression for each of the three that match it.
type pattern struct {
	text, options string         // as they were given
	source        string         // for RE2, with its options
	re2           *regexp.Regexp // of source
	are           string         // the same for PostgreSQL
}

// maxPattern is the longest pattern, bytes.
const maxPattern = 1000

// compilePattern reads a pattern of RE2. What it refuses is what RE2 does (look-around, back references) and what could be too
// much for PostgreSQL.
func compilePattern(text, options string) (pattern, *Error) {
	if len(text) > maxPattern {
		return pattern{}, &Error{Problem: "the pattern is longer than " + strconv.Itoa(maxPattern) + " bytes"}
	}
	flags, letters := syntax.Perl, ""
	body := text
	for _, option := range options {
		switch {
		case option == 'i' && flags&syntax.FoldCase == 0:
			flags |= syntax.FoldCase
			letters += "i"
		case option == 'm' && flags&syntax.OneLine != 0:
			flags &^= syntax.OneLine
			letters += "m"
		case option == 's' && flags&syntax.DotNL == 0:
			flags |= syntax.DotNL
			letters += "s"
		case option == 'x':
			body = withoutSpace(text)
		case !strings.ContainsRune("ims", option):
			return pattern{}, &Error{Problem: "there is no such option", Hint: "$options may have i, m, s, x"}
		}
	}
	tree, err := syntax.Parse(body, flags)
	if err != nil {
		return pattern{}, &Error{Problem: "the pattern cannot be read: " + err.Error(), Hint: "it is one of RE2: no look-around, no back references"}
	}
	are, ok := translate(tree)
	if !ok {
		return pattern{}, &Error{Problem: "the pattern is too large", Hint: "repeat less, or name fewer kinds of characters"}
	}
	source := body
	if letters != "" {
		source = "(?" + letters + ")" + body
	}
	re2, err := regexp.Compile(source)
	if err != nil {
		return pattern{}, &Error{Problem: "the pattern cannot be read: " + err.Error()}
	}
	return pattern{text, options, source, re2, are}, nil
}

// withoutSpace takes out what the option x lets stand in a pattern: space, and comments from # to the end of a line, outside of
// classes and of \Q...\E.
func withoutSpace(text string) string {
	var b strings.Builder
	class := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && strings.HasPrefix(text[i:], `\Q`):
			end := strings.Index(text[i:], `\E`)
			if end < 0 {
				end = len(text) - i
			} else {
				end += 2
			}
			b.WriteString(text[i : i+end])
			i += end - 1
			continue
		case c == '\\' && i+1 < len(text):
			b.WriteByte(c)
			i++
			c = text[i]
		case c == '[':
			if !class && strings.HasPrefix(strings.TrimPrefix(text[i+1:], "^"), "]") { // "[]" and "[^]" begin with a "]"
				skip := strings.IndexByte(text[i:], ']')
				b.WriteString(text[i : i+skip])
				i += skip
				c = ']'
			}
			class = true
		case c == ']':
			class = false
		case class:
		case strings.IndexByte(" \t\n\v\f\r", c) >= 0:
			continue
		case c == '#':
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				return b.String()
			}
			i += end
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// The limits of a translated pattern. The cost is about the number of states that PostgreSQL makes of it, times the ranges of the
// characters between them.
const (
	maxARE    = 16 << 10 // bytes
	maxCost   = 3000
	maxRepeat = 255 // PostgreSQL's own
)

// translate writes a pattern as an advanced regular expression of PostgreSQL
// (https://www.postgresql.org/docs/15/functions-matching.html#POSIX-SYNTAX-DETAILS) that matches the same texts. Nothing in it
// depends on locales: classes are ranges of code points, and case is folded here. What is matched first or longest differs, and
// only whether there is a match counts.
func translate(tree *syntax.Regexp) (string, bool) {
	t := translator{}
	t.b.WriteString("(?w)") // ^ and $ at lines, while "." and classes have newlines
	t.write(tree, 1)
	return t.b.String(), !t.refused && t.cost <= maxCost && t.b.Len() <= maxARE
}

type translator struct {
	b       strings.Builder
	cost    int
	refused bool
}

// Word characters are those of ASCII in RE2, so that \y will not do.
const wordEdge = `(?:(?<=[0-9A-Za-z_])(?![0-9A-Za-z_])|(?<![0-9A-Za-z_])(?=[0-9A-Za-z_]))`
const noWordEdge = `(?:(?<=[0-9A-Za-z_])(?=[0-9A-Za-z_])|(?<![0-9A-Za-z_])(?![0-9A-Za-z_]))`

// nothing matches no text: there is no character behind the end.
const nothing = `\Z\u0001`

// constant translations by operation.
var constant = map[syntax.Op]string{
	syntax.OpNoMatch: nothing, syntax.OpEmptyMatch: `(?:)`, syntax.OpAnyCharNotNL: `[^\u000A]`, syntax.OpAnyChar: `.`,
	syntax.OpBeginLine: `^`, syntax.OpEndLine: `$`, syntax.OpBeginText: `\A`, syntax.OpEndText: `\Z`,
	syntax.OpWordBoundary: wordEdge, syntax.OpNoWordBoundary: noWordEdge,
}

// write appends re, of which times copies are made by the repetitions around it.
func (t *translator) write(re *syntax.Regexp, times int) {
	if t.refused = t.refused || t.cost > maxCost || t.b.Len() > maxARE; t.refused {
		return
	}
	if text, ok := constant[re.Op]; ok {
		t.b.WriteString(text)
		t.cost += times
		if re.Op == syntax.OpWordBoundary || re.Op == syntax.OpNoWordBoundary {
			t.cost += 250 * times // each is four little patterns, and many in a row multiply
		}
		return
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			t.rune(r, re.Flags&syntax.FoldCase != 0)
		}
		t.cost += len(re.Rune) * times
	case syntax.OpCharClass:
		t.class(re.Rune)
		t.cost += (1 + len(re.Rune)/8) * times
	case syntax.OpCapture:
		t.group(re.Sub[0], times)
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			t.group(sub, times)
		}
	case syntax.OpAlternate:
		for i, sub := range re.Sub {
			if i > 0 {
				t.b.WriteByte('|')
			}
			t.group(sub, times)
		}
	default:
		t.repeat(re, times)
	}
}

// group writes re as one operand.
func (t *translator) group(re *syntax.Regexp, times int) {
	t.b.WriteString("(?:")
	t.write(re, times)
	t.b.WriteString(")")
}

// repeat writes the operations *, +, ? and {n,m}. Of what has no width, none or one is as much as many, and PostgreSQL lets
// no repetition stand behind it.
func (t *translator) repeat(re *syntax.Regexp, times int) {
	least, most := re.Min, re.Max
	switch re.Op {
	case syntax.OpStar:
		least, most = 0, -1
	case syntax.OpPlus:
		least, most = 1, -1
	case syntax.OpQuest:
		least, most = 0, 1
	}
	sub := re.Sub[0]
	switch {
	case most == 0 || (widthless(sub) && least == 0):
		t.b.WriteString("(?:)")
		return
	case widthless(sub):
		t.group(sub, times)
		return
	case max(least, most) > maxRepeat:
		t.refused = true
		return
	}
	t.group(sub, times*max(least, most, 1))
	t.b.WriteByte('{')
	t.b.WriteString(strconv.Itoa(least))
	t.b.WriteByte(',')
	if most >= 0 {
		t.b.WriteString(strconv.Itoa(most))
	}
	t.b.WriteByte('}')
}

// widthless says whether re matches the empty text only.
func widthless(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpNoMatch, syntax.OpLiteral, syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return false
	}
	for _, sub := range re.Sub {
		if !widthless(sub) {
			return false
		}
	}
	return true
}

// rune writes one character, or all that differ from it in case only.
func (t *translator) rune(r rune, fold bool) {
	if !fold || unicode.SimpleFold(r) == r {
		t.class([]rune{r, r})
		return
	}
	var same []rune
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		same = append(same, other, other)
	}
	t.class(append(same, r, r))
}

// class writes ranges of characters, without the code points that no text of PostgreSQL has.
func (t *translator) class(ranges []rune) {
	var inner strings.Builder
	for i := 0; i < len(ranges); i += 2 {
		low, high := max(ranges[i], 1), ranges[i+1]
		if low < 0xD800 && high > 0xDFFF {
			writeRange(&inner, low, 0xD7FF)
			low = 0xE000
		}
		if low <= high && (high < 0xD800 || low > 0xDFFF) {
			writeRange(&inner, low, high)
		}
	}
	if inner.Len() == 0 {
		t.b.WriteString(nothing)
		return
	}
	t.b.WriteString("[" + inner.String() + "]")
}

func writeRange(b *strings.Builder, low, high rune) {
	writeRune(b, low)
	if high > low {
		b.WriteByte('-')
		writeRune(b, high)
	}
}

// writeRune escapes all but letters and digits of ASCII.
func writeRune(b *strings.Builder, r rune) {
	switch {
	case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
		b.WriteRune(r)
	case r < 0x10000:
		b.WriteString(`\u` + padded(r, 4))
	default:
		b.WriteString(`\U` + padded(r, 8))
	}
}

func padded(r rune, digits int) string {
	hex := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", digits-len(hex)) + hex
}

// Function is a scalar function that filters call and SQLite has not.
type Function struct {
	Name string
	Args int32
	Do   func(args []any) (any, error) // the same result for the same arguments; as database/sql/driver has values
}

// Functions returns what every connection to SQLite needs before it runs SQL(SQLite, n).
func Functions() []Function { return []Function{{regexFunction, 2, matchPattern}} }

const regexFunction = "deckle_regex"

// matchPattern is deckle_regex(pattern, text): 1 when the text matches, and 0 when it does not or is none.
func matchPattern(args []any) (any, error) {
	source, _ := args[0].(string)
	text, ok := args[1].(string)
	if !ok {
		return int64(0), nil
	}
	compiled, err := compiledPatterns.get(source)
	if err != nil {
		return nil, err
	}
	if compiled.MatchString(text) {
		return int64(1), nil
	}
	return int64(0), nil
}

// patterns keeps what matchPattern compiled, since it is called for every row.
type patterns struct {
	mu   sync.Mutex
	kept map[string]*regexp.Regexp
}

// maxKept bounds patterns. When it is reached, all are forgotten: a statement compiles its own again once.
const maxKept = 64

var compiledPatterns = patterns{kept: map[string]*regexp.Regexp{}}

func (p *patterns) get(source string) (*regexp.Regexp, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if compiled, ok := p.kept[source]; ok {
		return compiled, nil
	}
	compiled, err := regexp.Compile(source)
	if err != nil {
		return nil, err
	}
	if len(p.kept) >= maxKept {
		clear(p.kept)
	}
	p.kept[source] = compiled
	return compiled, nil
}
