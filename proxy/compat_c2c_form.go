package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"deckle/ingest"

	"github.com/valyala/fasthttp"
)

// c2cForm is what a request's body says: text, or what JSON has.
type c2cForm map[string]any

// maxForm bounds the body of what is no upload, bytes.
const maxForm = 1 << 20

var (
	errLongForm  = &c2cRefusal{http.StatusRequestEntityTooLarge, "request entity too large"}
	errBadForm   = &c2cRefusal{http.StatusBadRequest, "The body cannot be read as its Content-Type."}
	errScalar    = &c2cRefusal{http.StatusBadRequest, "invalid JSON, only supports object and array"}
	errNoSecret  = &c2cRefusal{http.StatusUnauthorized, "Missing secret key."}
	errBadSecret = &c2cRefusal{http.StatusForbidden, "Bad secret key."}
)

// c2cForm reads the body and checks the secret in it. Nothing of it is kept anywhere but in memory.
func (p *Proxy) c2cForm(ctx *fasthttp.RequestCtx) (c2cForm, error) {
	body, err := io.ReadAll(io.LimitReader(requestBody(ctx), maxForm+1))
	switch {
	case err != nil:
		return nil, errors.Join(errBadForm, err) // it broke off, or was too slow
	case len(body) > maxForm:
		return nil, errLongForm
	}
	form, err := readForm(string(ctx.Request.Header.ContentType()), body)
	if err != nil {
		return nil, err
	}
	secret, given := form["secret"]
	if !given {
		return nil, errNoSecret
	}
	if text, ok := secret.(string); !ok || !p.C2C.knows(text) {
		return nil, errBadSecret
	}
	return form, nil
}

// readForm reads JSON, a form or a multipart form. What is none of them holds no fields, and where a body came all the same its
// secret is a wrong one. Errors are *c2cRefusal.
func readForm(contentType string, body []byte) (c2cForm, error) {
	if len(body) == 0 {
		return c2cForm{}, nil
	}
	media, parameters, _ := mime.ParseMediaType(contentType)
	switch media {
	case "application/json":
		return readJSONForm(body)
	case "application/x-www-form-urlencoded":
		values, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, errBadForm
		}
		return gather(values), nil
	case "multipart/form-data":
		return readMultipart(body, parameters["boundary"])
	}
	return c2cForm{"secret": nil}, nil
}

func readJSONForm(body []byte) (c2cForm, error) {
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return nil, errBadForm
	}
	switch value := value.(type) {
	case map[string]any:
		return value, nil
	case []any:
		return c2cForm{"secret": nil}, nil
	}
	return nil, errScalar
}

// gather turns the fields of a form into what JSON would have: a name that comes often, or ends in [], is a list.
func gather(values url.Values) c2cForm {
	form := c2cForm{}
	for name, texts := range values {
		plain, isList := strings.CutSuffix(name, "[]")
		if len(texts) == 1 && !isList && len(values[name+"[]"]) == 0 {
			form[plain] = texts[0]
			continue
		}
		all, _ := form[plain].([]any) // where both spellings are used
		for _, text := range texts {
			all = append(all, text)
		}
		form[plain] = all
	}
	return form
}

// readMultipart reads the fields of a multipart form. Files in it are passed over.
func readMultipart(body []byte, boundary string) (c2cForm, error) {
	values := url.Values{}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return gather(values), nil
		}
		if err != nil {
			return nil, errBadForm
		}
		if part.FileName() != "" {
			continue
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return nil, errBadForm
		}
		values.Add(part.FormName(), string(text))
	}
}

// badParameters is a refusal with a line for each fault; empty ones are left out.
func badParameters(faults ...string) error {
	var lines []string
	for _, fault := range faults {
		if fault != "" {
			lines = append(lines, "Bad parameter "+fault)
		}
	}
	return &c2cRefusal{http.StatusBadRequest, strings.Join(lines, "\n")}
}

// key reads a field that holds the key of a source. wrong is what is wrong with it.
func (f c2cForm) key(name string) (id, ext, wrong string) {
	switch value := f[name].(type) {
	case string:
		if id, ext, ok := splitKey(value); ok {
			return id, ext, ""
		}
		return "", "", name + ": Invalid input."
	case nil:
		if _, given := f[name]; !given {
			return "", "", name + ": Required."
		}
	}
	return "", "", name + ": Expected string, received " + kindOfJSON(f[name]) + "."
}

// keys reads a field that holds one key, or a list of them; each is returned once.
func (f c2cForm) keys(name string) (ids []string, wrong string) {
	list, isList := f[name].([]any)
	if !isList {
		list = []any{f[name]}
	}
	if len(list) == 0 {
		return nil, name + ": Array must contain at least 1 element(s)."
	}
	seen := map[string]bool{}
	for _, value := range list {
		text, _ := value.(string)
		id, _, ok := splitKey(text)
		if !ok {
			return nil, name + ": Invalid input."
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, ""
}

// splitKey reads KEY.ext, as uploads are answered with.
func splitKey(key string) (id, ext string, ok bool) {
	id, ext, _ = strings.Cut(key, ".")
	switch ext {
	case "jpg", "png", "gif", "svg":
		return id, ext, isKey(id)
	}
	return "", "", false
}

// turn reads the field rotation, a quarter to the right where it is missing. A number is as good as text.
func (f c2cForm) turn() (by ingest.Turn, wrong string) {
	const want = "rotation: Expected '-90' | '90' | '180', received "
	value, given := f["rotation"]
	if !given {
		return c2cTurns["90"], ""
	}
	text, isText := value.(string)
	if number, ok := value.(float64); ok {
		text, isText = strconv.FormatFloat(number, 'f', -1, 64), true
	}
	if !isText {
		return 0, want + kindOfJSON(value) + "."
	}
	turn, known := c2cTurns[text]
	if !known {
		return 0, fmt.Sprintf("rotation: Invalid enum value. Expected '-90' | '90' | '180', received '%s'.", bounded(text))
	}
	return turn, ""
}

// kindOfJSON names the type of a value of JSON.
func kindOfJSON(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}
