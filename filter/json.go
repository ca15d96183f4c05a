package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// reader reads JSON into the values of a Doc, within limits that it counts down.
type reader struct {
	decoder *json.Decoder
	depth   int  // levels of nesting that are left
	values  int  // values that are left
	strict  bool // refuses a key that an object has twice; else the last one counts, in the place of the first
	number  func(literal string) (any, error)
}

// errLimit is the end of a reader's limits.
var errLimit = errors.New("the JSON is nested too deeply or has too many values")

// readJSON reads one JSON value and nothing behind it.
func readJSON(text []byte, r reader) (any, error) {
	r.decoder = json.NewDecoder(bytes.NewReader(text))
	r.decoder.UseNumber()
	value, err := r.value()
	if err != nil {
		return nil, err
	}
	if _, err := r.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more behind the JSON value")
	}
	return value, nil
}

func (r *reader) value() (any, error) {
	token, err := r.decoder.Token()
	if err != nil {
		return nil, fmt.Errorf("this is not JSON: %w", err)
	}
	return r.valueOf(token)
}

func (r *reader) valueOf(token json.Token) (any, error) {
	if r.values--; r.values < 0 {
		return nil, errLimit
	}
	switch token := token.(type) {
	case json.Number:
		return r.number(token.String())
	case string:
		return token, goodText(token)
	case json.Delim:
		if r.depth--; r.depth < 0 {
			return nil, errLimit
		}
		defer func() { r.depth++ }()
		if token == '[' {
			return r.list()
		}
		return r.object()
	}
	return token, nil // nil and bool
}

func (r *reader) list() (any, error) {
	list := []any{}
	for r.decoder.More() {
		value, err := r.value()
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := r.decoder.Token()
	return list, err
}

func (r *reader) object() (any, error) {
	doc, at := Doc{}, map[string]int{}
	for r.decoder.More() {
		token, err := r.decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("this is not JSON: %w", err)
		}
		key, _ := token.(string)
		if err := goodText(key); err != nil {
			return nil, err
		}
		value, err := r.value()
		if err != nil {
			return nil, err
		}
		i, twice := at[key]
		switch {
		case twice && r.strict:
			return nil, fmt.Errorf("the key %q is there twice", key)
		case twice:
			doc[i].Value = value
		default:
			at[key] = len(doc)
			doc = append(doc, Field{key, value})
		}
	}
	_, err := r.decoder.Token()
	return doc, err
}

// goodText refuses the one character that PostgreSQL's texts cannot have.
func goodText(s string) error {
	if strings.ContainsRune(s, 0) {
		return errors.New("a text holds the character U+0000")
	}
	return nil
}

// asFloat reads a number as both databases compare it.
func asFloat(literal string) (any, error) {
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return nil, fmt.Errorf("the number %.40s is beyond a float64", literal)
	}
	return f, nil
}

// literal is a number as it was written.
type literal string

// asWritten keeps a number that float64 can come near to, and writes one that is too small for it as 0: PostgreSQL would refuse
// every statement that reads it.
func asWritten(text string) (any, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("the number %.40s is beyond a float64", text)
	}
	if f == 0 {
		text = "0"
	}
	return literal(text), nil
}

// The limits of what Canonical takes, besides its caller's limit of bytes. Both databases read 1,000 levels and more.
const (
	maxDataDepth  = 100
	maxDataValues = 1 << 20
)

// Canonical returns a JSON object as a JSON column must hold it, so that both databases read the same in it: compact, each key once
// (the last value in the first place, as JavaScript reads it), texts as UTF-8 without U+0000, numbers as written. Numbers beyond
// float64 and more than 100 levels of nesting are refused with an Error. Canonical of its own result is that result.
func Canonical(text []byte) (string, error) {
	value, err := readJSON(text, reader{depth: maxDataDepth, values: maxDataValues, number: asWritten})
	if err != nil {
		return "", &Error{Problem: err.Error()}
	}
	if _, ok := value.(Doc); !ok {
		return "", &Error{Problem: "this is no JSON object"}
	}
	var b strings.Builder
	writeJSON(&b, value)
	return b.String(), nil
}

// writeJSON writes a value compactly.
func writeJSON(b *strings.Builder, value any) {
	switch value := value.(type) {
	case Doc:
		b.WriteByte('{')
		for i, field := range value {
			if i > 0 {
				b.WriteByte(',')
			}
			writeText(b, field.Key)
			b.WriteByte(':')
			writeJSON(b, field.Value)
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, element := range value {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, element)
		}
		b.WriteByte(']')
	case string:
		writeText(b, value)
	case literal:
		b.WriteString(string(value))
	case float64:
		b.WriteString(strconv.FormatFloat(value, 'g', -1, 64))
	case bool:
		b.WriteString(strconv.FormatBool(value))
	default:
		b.WriteString("null")
	}
}

func writeText(b *strings.Builder, s string) {
	var line strings.Builder
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always can be, and a Builder takes all
	b.WriteString(strings.TrimSuffix(line.String(), "\n"))
}

// quote returns a text as a JSON text.
func quote(s string) string {
	var b strings.Builder
	writeText(&b, s)
	return b.String()
}
