package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"deckle/ingest"
)

// The bounds of what comes with a picture.
const (
	maxFields     = 256
	maxFieldBytes = 128 << 10 // of all together
	maxFieldName  = 256       // bytes
	partBytes     = 64        // that a part counts for at least: its header is kept for a while
	maxNesting    = 16        // of a field's name
)

// formWords says which fields of an upload mean something by themselves. The others are data.
type formWords struct {
	known []string
	// named has the picture's own file name stand for the field file where that is missing.
	named bool
	// beside says that the query of a form means something else.
	beside bool
}

var (
	ourWords     = formWords{known: []string{"file", "time", "id", "_id", "name", "tags", "private", "owner", "json", "data"}}
	storageWords = formWords{known: []string{"file", "time", "_id", "json", "data"}, named: true, beside: true}
)

// imageUpload is a request's picture on its way in, and what is said of it. Read gives the picture; when it has ended, the fields
// behind it have been read, too.
type imageUpload struct {
	words    formWords
	parts    *multipart.Reader // nil for a bare body
	body     io.Reader         // the picture
	fields   url.Values
	size     int    // bytes of the fields
	fileName string // of the picture's part
	err      error  // how Read goes on ending
}

// newUpload finds the picture of a request without reading ahead of it: the part image of a form, or the body itself, which comes
// with its fields in the query.
func newUpload(contentType string, query url.Values, body io.Reader, words formWords) (*imageUpload, error) {
	u := &imageUpload{words: words, body: body, fields: url.Values{}}
	media, parameters, _ := mime.ParseMediaType(contentType)
	if media != "multipart/form-data" {
		return u, u.fromQuery(query)
	}
	for name := range query {
		if !words.beside {
			return nil, fieldProblem(bounded(name), "with a form the fields are its parts, and none are in the query")
		}
	}
	if parameters["boundary"] == "" {
		return nil, fieldProblem("body", "a form says in its Content-Type what its boundary is")
	}
	u.parts = multipart.NewReader(body, parameters["boundary"])
	image, err := u.next()
	if err == nil && image == nil {
		err = ingest.ErrNoImage
	}
	if err != nil {
		return nil, err
	}
	u.body, u.fileName = image, image.FileName()
	return u, nil
}

// fromQuery takes the fields of a bare body. Names that mean nothing are refused, unless they are those of data.
func (u *imageUpload) fromQuery(query url.Values) error {
	for name, values := range query {
		path, data := strings.CutPrefix(name, "data.")
		switch {
		case data:
			name = path
		case !slices.Contains(u.words.known, name):
			return fieldProblem(bounded(name), "it is no field of an upload; what is to be in data is written data."+bounded(name)+"=")
		}
		for _, value := range values {
			if err := u.add(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *imageUpload) add(name, value string) error {
	u.size += len(name) + len(value)
	if u.size > maxFieldBytes || len(u.fields) >= maxFields || len(name) > maxFieldName {
		return fieldProblem(bounded(name), "the fields of an upload are too many or too large")
	}
	u.fields.Add(name, value)
	return nil
}

// next reads fields up to a picture; nil at the end of the form.
func (u *imageUpload) next() (*multipart.Part, error) {
	for {
		part, err := u.parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ingest.ErrAborted, err)
		}
		name := part.FormName()
		if name == "image" {
			return part, nil
		}
		if u.size += headerBytes(part); u.size > maxFieldBytes {
			return nil, fieldProblem("body", "the fields of an upload are too many or too large")
		}
		if part.FileName() != "" {
			return nil, fieldProblem(bounded(name), "a picture is sent as the part image, and no other file with it")
		}
		value, err := io.ReadAll(io.LimitReader(part, maxFieldBytes+1))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ingest.ErrAborted, err)
		}
		if err := u.add(name, strings.ToValidUTF8(string(value), "\uFFFD")); err != nil {
			return nil, err
		}
	}
}

// headerBytes is what a part counts for beside its name and value.
func headerBytes(part *multipart.Part) int {
	n := partBytes
	for name, values := range part.Header {
		for _, value := range values {
			n += len(name) + len(value)
		}
	}
	return n
}

// Read gives the picture.
func (u *imageUpload) Read(to []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.body.Read(to)
	if errors.Is(err, io.EOF) && u.parts != nil {
		another, behind := u.next()
		if behind == nil && another != nil {
			behind = fieldProblem("image", "one picture is sent at a time")
		}
		if behind != nil {
			err = behind
		}
	}
	u.err = err
	return n, err
}

// describe says what the fields say of the picture; owner is whose it will be.
func (u *imageUpload) describe(owner string) (d ingest.Description, err error) {
	f := u.fields
	d = ingest.Description{ID: f.Get("id"), Owner: owner, File: f.Get("file"), Name: u.word("name")}
	if d.ID == "" || !slices.Contains(u.words.known, "id") {
		d.ID = f.Get("_id")
	}
	if d.File == "" && u.words.named {
		d.File = u.fileName
	}
	if d.File, err = cleanFile(d.File); err != nil {
		return d, err
	}
	if named := u.word("owner"); owner == "" {
		d.Owner = named // only those give a picture away who see all
	} else if named != "" && named != owner {
		return d, fieldProblem("owner", "users bring in pictures of their own")
	}
	if text := f.Get("time"); text != "" {
		when, ok := parseTime(text)
		if !ok {
			return d, fieldProblem("time", "it is a time as in 2026-11-21T10:00:00Z, or a day as in 2026-11-21")
		}
		d.Time = when
	}
	if d.Private, err = parsePrivate(u.word("private")); err != nil {
		return d, err
	}
	if slices.Contains(u.words.known, "tags") {
		d.Tags = tagsOf(f["tags"])
	}
	d.Data, err = u.data()
	return d, err
}

// word is the value of a field that may be data by these words.
func (u *imageUpload) word(name string) string {
	if !slices.Contains(u.words.known, name) {
		return ""
	}
	return u.fields.Get(name)
}

// cleanFile takes a path-like name as it is written, and refuses one that some system would read as another place.
func cleanFile(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	name = strings.ToValidUTF8(name, "\uFFFD")
	bad := strings.ContainsAny(name, "\\\x00") || strings.HasPrefix(name, "/") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
	for segment := range strings.SplitSeq(name, "/") {
		bad = bad || segment == "" || segment == "." || segment == ".."
	}
	if bad {
		return "", fieldProblem("file", "it is a name as in cat.jpg or holidays/2026/cat.jpg, without empty parts, . and ..")
	}
	return name, nil
}

func parsePrivate(text string) (*bool, error) {
	switch strings.ToLower(text) {
	case "":
		return nil, nil
	case "on":
		text = "true" // a box in a form
	}
	private, err := strconv.ParseBool(text)
	if err != nil {
		return nil, fieldProblem("private", "it is true or false")
	}
	return &private, nil
}

// tagsOf reads tags given as several fields, with commas, or as a JSON array; nil when there are none.
func tagsOf(given []string) (tags []string) {
	for _, text := range given {
		var array []string
		if strings.HasPrefix(strings.TrimSpace(text), "[") && json.Unmarshal([]byte(text), &array) == nil {
			tags = append(tags, array...)
			continue
		}
		for tag := range strings.SplitSeq(text, ",") {
			if tag = strings.TrimSpace(tag); tag != "" {
				tags = append(tags, tag)
			}
		}
	}
	return tags
}

// data is the JSON that was sent, or an object of the fields that mean nothing by themselves.
func (u *imageUpload) data() (json.RawMessage, error) {
	for _, name := range []string{"json", "data"} {
		text := strings.TrimSpace(u.fields.Get(name))
		if text == "" {
			continue
		}
		if !json.Valid([]byte(text)) || text[0] != '{' {
			return nil, fieldProblem(name, `it is a JSON object, as in {"a": 1}`)
		}
		return json.RawMessage(text), nil
	}
	object := map[string]any{}
	for name, values := range u.fields {
		if slices.Contains(u.words.known, name) {
			continue
		}
		path, list, ok := fieldPath(name)
		if !ok {
			return nil, fieldProblem(bounded(name), "the names of data are as in a, a.b or a[b]")
		}
		var value any = values
		if len(values) == 1 && !list {
			value = values[0]
		}
		if !setPath(object, path, value) {
			return nil, fieldProblem(bounded(name), "it is a value and an object at the same time")
		}
	}
	return json.Marshal(object)
}

// fieldPath reads the name of a field: a.b and a[b] are b within a, a[] is a list.
func fieldPath(name string) (path []string, list, ok bool) {
	name, list = strings.CutSuffix(name, "[]")
	path = strings.Split(strings.NewReplacer("][", ".", "[", ".", "]", "").Replace(name), ".")
	ok = len(path) <= maxNesting && !slices.Contains(path, "") && !strings.HasPrefix(path[0], "$")
	return path, list, ok
}

// setPath sets a value within an object; false when something on the way is no object, or something is there.
func setPath(in map[string]any, path []string, value any) bool {
	for _, name := range path[:len(path)-1] {
		below, there := in[name]
		if !there {
			below = map[string]any{}
			in[name] = below
		}
		inner, ok := below.(map[string]any)
		if !ok {
			return false
		}
		in = inner
	}
	last := path[len(path)-1]
	if _, there := in[last]; there {
		return false
	}
	in[last] = value
	return true
}

// contentTypeOf is what a request says of its body.
func contentTypeOf(r *http.Request) string { return r.Header.Get("Content-Type") }
