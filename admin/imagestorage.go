package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"deckle/auth"
	"deckle/catalog"
	"deckle/origin"
)

// ImageStorage says how clients of image-storage-service are answered.
type ImageStorage struct {
	// Open lets everybody do everything, as that system does where no issuer is configured.
	Open bool
	// DemandAll refuses to change and delete where nothing says which pictures are meant, unless all=true does.
	DemandAll bool
}

// storageService is one of the handlers of image-storage-service's paths: the operations of /images in that system's words.
type storageService struct {
	*Admin
	ImageStorage
}

// ImageStorage returns what answers image-storage-service's paths, for the edge to serve.
func (a *Admin) ImageStorage(c ImageStorage) http.Handler {
	s := &storageService{a, c}
	mux := http.NewServeMux()
	for _, e := range []struct {
		method, path string
		needs        auth.Scopes
		serve        func(http.ResponseWriter, *http.Request) error
	}{
		{"POST", "/images", auth.Upload, s.upload},
		{"GET", "/images", auth.Read, s.list},
		{"PATCH", "/images", auth.Write, s.patchMany},
		{"DELETE", "/images", auth.Write, s.deleteMany},
		{"GET", "/images/{id}", auth.Read, s.one},
		{"PATCH", "/images/{id}", auth.Write, s.patch},
		{"DELETE", "/images/{id}", auth.Write, s.delete},
		{"GET", "/images/{id}/image", auth.Read, s.file},
		{"GET", "/fields", auth.Read, s.fields},
		{"GET", "/fields/{field}", auth.Read, s.values},
		{"GET", "/export", auth.Read, s.exportArchive},
		{"POST", "/import", auth.Upload | auth.Write, s.importArchive},
	} {
		mux.Handle(e.method+" "+e.path, s.admitted(e.needs, e.serve))
	}
	return mux
}

// textRefusal is an answer in words of that system.
type textRefusal struct {
	status int
	text   string
}

func (r *textRefusal) Error() string { return r.text }

func badText(text string) error { return &textRefusal{http.StatusBadRequest, text} }

// admitted answers requests of callers who may, and the errors of all.
func (s *storageService) admitted(needs auth.Scopes, serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		who, err := s.caller(r)
		if err == nil && !who.May(needs) {
			err = &textRefusal{http.StatusForbidden, "The key or token does not allow that."}
		}
		if err == nil {
			err = serve(w, r.WithContext(auth.With(r.Context(), who)))
		}
		if err != nil {
			s.refuse(w, r, err)
		}
	})
}

// caller finds out who is calling.
func (s *storageService) caller(r *http.Request) (auth.Principal, error) {
	credential := storageCredential(r)
	if s.Open && credential == "" {
		return auth.Principal{Scopes: auth.Read | auth.Write | auth.Upload, Shared: true}, nil
	}
	if credential == "" || s.Auth == nil {
		return auth.Principal{}, &textRefusal{http.StatusUnauthorized, "Error: Missing token"}
	}
	who, err := s.Admin.caller(r.Context(), credential)
	switch {
	case err != nil && !errors.Is(err, auth.ErrRefused):
		return who, &textRefusal{http.StatusServiceUnavailable, "Error: Tokens cannot be checked now"}
	case err != nil:
		return who, &textRefusal{http.StatusUnauthorized, tokenText(err)}
	}
	return who, nil
}

// storageCredential finds the token: the second word of Authorization, or all of it, or else jwt or token in the query.
func storageCredential(r *http.Request) string {
	if words := strings.Fields(r.Header.Get("Authorization")); len(words) > 0 {
		return words[min(1, len(words)-1)]
	}
	if key := r.Header.Get("X-API-Key"); key != "" {
		return key
	}
	query := r.URL.Query()
	if token := query.Get("jwt"); token != "" {
		return token
	}
	return query.Get("token")
}

// tokenText is what that system says of a token that it does not take.
func tokenText(err error) string {
	for _, known := range []struct {
		err  error
		text string
	}{
		{auth.ErrExpired, "TokenExpiredError: jwt expired"}, {auth.ErrNotYet, "NotBeforeError: jwt not active"},
		{auth.ErrSignature, "JsonWebTokenError: invalid signature"}, {auth.ErrMalformed, "Error: Decoded token is null"},
		{auth.ErrKeyID, "SigningKeyNotFoundError: Unable to find a signing key"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	return "Error: " + sentence(auth.Reason(err))
}

// refuse answers an error as text.
func (s *storageService) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var own *textRefusal
	if !errors.As(err, &own) {
		p := s.imageProblem("image-storage", "id", err)
		own = &textRefusal{p.Status, p.Detail}
		if id := r.PathValue("id"); p.Status == http.StatusNotFound && id != "" {
			own.text = "Image " + id + " not found"
		}
	}
	write(w, own.status, "text/plain; charset=utf-8", []byte(own.text))
}

// storageDocument is a record as that system has them.
type storageDocument struct {
	ID   string          `json:"_id"`
	File string          `json:"file"`
	Time string          `json:"time"`
	Data json.RawMessage `json:"data"`
	User string          `json:"userId,omitempty"`
}

// storageTime is how its JSON has times: UTC, with milliseconds.
const storageTime = "2006-01-02T15:04:05.000Z"

func documentOf(r catalog.Record) storageDocument {
	d := storageDocument{ID: r.ID, File: r.File, Time: r.Time.UTC().Format(storageTime), Data: json.RawMessage(r.Data), User: r.Owner}
	if d.File == "" {
		d.File = fileNameOf(r)
	}
	if r.Data == "" {
		d.Data = json.RawMessage("{}")
	}
	return d
}

// sayJSON answers as that system does: JSON and 200.
func sayJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err == nil {
		write(w, http.StatusOK, "application/json; charset=utf-8", body)
	}
	return err
}

func (s *storageService) upload(w http.ResponseWriter, r *http.Request) error {
	if !strings.HasPrefix(contentTypeOf(r), "multipart/form-data") {
		return badText("File not provided")
	}
	// What the query says belongs to the token.
	r.URL.RawQuery = ""
	record, _, err := s.deposit(w, r, storageWords)
	if err != nil {
		if p := s.imageProblem("upload", "_id", err); p.Status == http.StatusBadRequest && isNoImage(err) {
			return badText("File not provided")
		}
		return err
	}
	return sayJSON(w, documentOf(record))
}

func (s *storageService) one(w http.ResponseWriter, r *http.Request) error {
	record, err := s.find(r)
	if err != nil {
		return err
	}
	return sayJSON(w, documentOf(record))
}

// find returns the picture that the path names, if the caller has it. Another's is not there, public or not.
func (s *storageService) find(r *http.Request) (catalog.Record, error) {
	id := r.PathValue("id")
	if origin.CheckID(id) != nil {
		return catalog.Record{}, badText("Cast to ObjectId failed: an id is 24 hexadecimal digits")
	}
	return s.owned(r.Context(), id)
}

func (s *storageService) file(w http.ResponseWriter, r *http.Request) error {
	record, err := s.find(r)
	if err != nil {
		return err
	}
	return s.sendFile(w, r, record)
}

func (s *storageService) delete(w http.ResponseWriter, r *http.Request) error {
	record, err := s.find(r)
	if err == nil {
		err = s.deleteOwned(r.Context(), record.ID)
	}
	if err != nil {
		return err
	}
	return sayJSON(w, map[string]string{"_id": record.ID})
}

func (s *storageService) patch(w http.ResponseWriter, r *http.Request) error {
	patch, err := storagePatch(r)
	if err != nil {
		return err
	}
	record, err := s.find(r)
	if err == nil {
		record, err = s.patchOne(r.Context(), record.ID, patch)
	}
	if err != nil {
		return err
	}
	return sayJSON(w, documentOf(record))
}

// storagePatch reads the flat form of a change: each member is set within data, but for $unset, whose members go.
func storagePatch(r *http.Request) (p imagePatch, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxPatchRequest))
	if err != nil {
		return p, &textRefusal{http.StatusRequestEntityTooLarge, "The body is larger than a change can be"}
	}
	var members map[string]json.RawMessage
	if len(body) == 0 {
		return p, nil
	}
	if json.Unmarshal(body, &members) != nil || members == nil {
		return p, badText("The body is no JSON object")
	}
	if unset, there := members["$unset"]; there {
		var gone map[string]json.RawMessage
		if json.Unmarshal(unset, &gone) != nil {
			return p, badText("$unset is an object")
		}
		for path := range gone {
			p.Unset = append(p.Unset, path)
		}
		slices.Sort(p.Unset)
		delete(members, "$unset")
	}
	for path := range members {
		if strings.HasPrefix(path, "$") {
			return p, badText(bounded(path) + " is no change that is known; there is $unset")
		}
	}
	if len(members) > 0 {
		p.Set = members
	}
	return p, nil
}

func (s *storageService) fields(w http.ResponseWriter, r *http.Request) error {
	q, err := s.queried(r)
	if err != nil {
		return err
	}
	fields, err := s.Images.Records.Fields(r.Context(), q.whole())
	if err != nil {
		return err
	}
	return sayJSON(w, append([]string{}, fields...))
}

func (s *storageService) values(w http.ResponseWriter, r *http.Request) error {
	q, err := s.queried(r)
	if err != nil {
		return err
	}
	values, err := s.Images.Records.Distinct(r.Context(), q.whole(), "data."+r.PathValue("field"), maxDistinct)
	if err != nil {
		return err
	}
	return sayJSON(w, append([]any{}, values...))
}

// storageMoment reads a time of a query as that system's clients send it; what is empty, or the word undefined, is not there.
func storageMoment(values url.Values, name string) (time.Time, error) {
	text := values.Get(name)
	if text == "" || text == "undefined" {
		return time.Time{}, nil
	}
	when, ok := parseTime(text)
	if !ok {
		return when, badText(`Parameter "` + name + `" is not a valid date`)
	}
	return when, nil
}
