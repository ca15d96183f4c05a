package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// member is a key of a JSON object and its value.
type member struct {
	key   string
	value json.RawMessage
}

// patchData sets and unsets dotted paths in a JSON object, of which the order of keys and all else stay.
func patchData(data string, set map[string]any, unset []string) (string, error) {
	value := json.RawMessage(data)
	if data == "" {
		value = json.RawMessage("{}")
	}
	for _, path := range unset {
		var err error
		if value, err = change(value, strings.Split(path, "."), nil); err != nil {
			return "", fmt.Errorf("%w: unset %s: %w", ErrPatch, path, err)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(set)) {
		to, err := encode(set[path])
		if err == nil {
			value, err = change(value, strings.Split(path, "."), to)
		}
		if err != nil {
			return "", fmt.Errorf("%w: set %s: %w", ErrPatch, path, err)
		}
	}
	return string(value), nil
}

// change puts a value where a path leads, or with nil takes out what is there. A number in the path is the place in an array; what
// is taken out of an array leaves a null, as in MongoDB.
func change(value json.RawMessage, path []string, to json.RawMessage) (json.RawMessage, error) {
	if len(path) == 0 {
		return to, nil
	}
	switch kind(value) {
	case '{':
		return changeObject(value, path, to)
	case '[':
		return changeArray(value, path, to)
	}
	if to == nil {
		return value, nil
	}
	return nil, fmt.Errorf("what is before %q is neither an object nor an array", path[0])
}

func kind(value json.RawMessage) byte { return bytes.TrimLeft(value, " \t\r\n")[0] }

func changeObject(value json.RawMessage, path []string, to json.RawMessage) (json.RawMessage, error) {
	members, err := readObject(value)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(members, func(m member) bool { return m.key == path[0] })
	switch {
	case to == nil && at < 0:
		return value, nil
	case to == nil && len(path) == 1:
		return writeObject(slices.Delete(members, at, at+1))
	case at < 0:
		at = len(members)
		members = append(members, member{path[0], json.RawMessage("{}")})
	}
	if members[at].value, err = change(members[at].value, path[1:], to); err != nil {
		return nil, err
	}
	return writeObject(members)
}

func changeArray(value json.RawMessage, path []string, to json.RawMessage) (json.RawMessage, error) {
	var elements []json.RawMessage
	if err := json.Unmarshal(value, &elements); err != nil {
		return nil, err
	}
	at, err := strconv.Atoi(path[0])
	if err != nil || at < 0 {
		at = len(elements) + 1
	}
	if to == nil && at >= len(elements) {
		return value, nil
	}
	if at > len(elements) {
		return nil, fmt.Errorf("%q is no place in an array of %d", path[0], len(elements))
	}
	if at == len(elements) {
		elements = append(elements, json.RawMessage("{}"))
	}
	if to == nil && len(path) == 1 {
		to = json.RawMessage("null")
	}
	if elements[at], err = change(elements[at], path[1:], to); err != nil {
		return nil, err
	}
	return encode(elements)
}

func readObject(value json.RawMessage) (members []member, err error) {
	decoder := json.NewDecoder(bytes.NewReader(value))
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		m := member{key: token.(string)} // what stands before a value in an object is a text
		if err := decoder.Decode(&m.value); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

func writeObject(members []member) (json.RawMessage, error) {
	b := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := encode(m.key)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, name...), ':'), m.value...)
	}
	return append(b, '}'), nil
}

// encode is json.Marshal without the escapes for HTML.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}
