package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"deckle/cache"
	"deckle/fleet"
	"deckle/ingest"
	"deckle/origin"
	"deckle/signature"
	"deckle/transform"
)

// statusRow says how an error is answered. detail is for the client; with own set, what the error itself says behind its
// sentinel is, because only our own code writes it and it holds numbers that help.
type statusRow struct {
	err    error
	status int
	detail string
	own    bool
}

// statusClientGone is what the access log says of a client that left; nobody receives it.
const statusClientGone = 499

// statuses is the one table from error to answer. The first row that matches counts.
var statuses = []statusRow{
	// What a client named by a URL fails as that, and not as what our own store would have failed as.
	{err: ingest.ErrSourceMissing, status: 404, detail: "There is nothing at the source URL."},
	{err: ingest.ErrSourceFailed, status: 502, detail: "The source URL could not be fetched: its host cannot be reached, answers with an error, or breaks off."},
	{err: origin.ErrTooLarge, status: 413, detail: "The source has more bytes than are accepted."},
	{err: ingest.ErrSourceSlow, status: 504, detail: "The source URL could not be fetched in time."},
	{err: transform.ErrNoExtension, status: 404, detail: "A picture's URL ends in an extension, as in /cat.jpg or /cat_300_200.webp."},
	{err: transform.ErrNoVariant, status: 404, detail: "A variant is named as in 300x200.jpg, x200.webp, w300-q70.jpg, full_size.png or c0.100_0.000_0.900_1.000.jpg."},
	{err: origin.ErrBadID, status: 404, own: true, detail: "The id is outside the grammar."},
	{err: origin.ErrNotFound, status: 404, detail: "There is no picture of that id."},
	{err: cache.ErrMiss, status: 404, detail: "There is no picture of that id."},
	{err: ingest.ErrToken, status: 403, detail: "The token is unknown, expired, or for another id. Ask for a new one."},
	{err: ingest.ErrUsed, status: 403, detail: "The token has been used. Ask for a new one."},
	{err: ingest.ErrHeld, status: 403, detail: "The id already has a token. Use it, or wait until it has expired."},
	{err: ingest.ErrExists, status: 403, detail: `The id already has a picture. Ask for a token with "replace": true to replace it.`},
	{err: origin.ErrExists, status: 403, detail: `The id already has a picture. Ask for a token with "replace": true to replace it.`},
	{err: ingest.ErrNoImage, status: 400, detail: "No picture was sent. Send it as the body, or as the part \"image\" of multipart/form-data."},
	{err: ingest.ErrAborted, status: 400, detail: "The upload ended before the picture was whole. The token can be used again."},
	{err: ingest.ErrTooLarge, status: 413, own: true, detail: "The picture has more bytes than are accepted."},
	{err: ingest.ErrPolicy, status: 422, own: true, detail: "The token's policy does not allow that."},
	{err: ingest.ErrHash, status: 409, own: true, detail: "The picture is another one than was expected."},
	{err: ingest.ErrCollision, status: 409, detail: "Another picture has the same hash."},
	{err: ingest.ErrChanging, status: 503, detail: "The picture is being changed. Try again in a moment."},
	{err: ingest.ErrNotFound, status: 404, detail: "There is no picture of that id."},
	{err: ingest.ErrQuota, status: 403, own: true, detail: "The account may not have more pictures or bytes."},
	{err: ingest.ErrAccount, status: 403, detail: "The account is being deleted, or was. Make it anew with POST /users once it is gone."},
	{err: ingest.ErrClient, status: 429, detail: "Too many uploads from this address. Try again in a moment."},
	{err: ingest.ErrUnsigned, status: 409, detail: "This store takes no signed PUT. Send the picture to the edge."},
	{err: ingest.ErrNoFetch, status: 501, detail: "This server is not configured to do that."},
	{err: ingest.ErrBusy, status: 503, detail: "Too many uploads at once. Try again in a moment."},
	{err: transform.ErrUnsupported, status: 415, own: true, detail: "The bytes are of no picture type that is accepted."},
	{err: transform.ErrMalformed, status: 422, detail: "The picture's bytes are broken."},
	{err: transform.ErrLimit, status: 413, own: true, detail: "The picture is larger than is accepted."},
	{err: transform.ErrMaxBytes, status: 422, own: true, detail: "No quality makes the picture as small as max_bytes asks for."},
	{err: transform.ErrFormat, status: 400, detail: "This server cannot write that format."},
	{err: transform.ErrCrashed, status: 422, detail: "The picture could not be rendered."},
	{err: transform.ErrQuarantined, status: 422, detail: "The picture could not be rendered several times over. It is tried again in some minutes."},
	{err: transform.ErrBusy, status: 503, detail: "Too many renders are waiting. Try again in a moment."},
	{err: errStrain, status: 503, detail: "The server is short of memory and renders nothing new. Try again in a moment."},
	{err: errClientBudget, status: 429, detail: "Too many new pictures were asked for from this address. Those that were rendered before are served still."},
	{err: errSourceBudget, status: 429, detail: "Too many new sizes of this picture were asked for. Those that were rendered before are served still."},
	{err: origin.ErrForbidden, status: 502, detail: "The source's address may not be connected to."},
	{err: origin.ErrFull, status: 507, detail: "The store of originals has no room left."},
	{err: origin.ErrUnavailable, status: 503, detail: "The store of originals cannot be reached. Try again in a moment."},
	{err: cache.ErrCorrupt, status: 500, detail: "The stored picture was damaged."},
	{err: cache.ErrTooLarge, status: 500, detail: "The picture does not fit the cache."},
	{err: ingest.ErrFull, status: 507, detail: "The database of records has no room left."},
	{err: ingest.ErrUnavailable, status: 503, detail: "The records cannot be reached. Try again in a moment."},
	{err: origin.ErrReadOnly, status: 403, detail: "Pictures under this id come from elsewhere and cannot be uploaded."},
	{err: cache.ErrRefused, status: 500, detail: "A cache tier takes no pictures now."},
	{err: cache.ErrOpen, status: 500, detail: "A cache tier is resting."},
	{err: cache.ErrBacklog, status: 500, detail: "A cache tier has too much to write."},
	{err: cache.ErrClosed, status: 503, detail: "This server is stopping. Try again."},
	{err: errPrecondition, status: 412, detail: "The picture is not the one that If-Match or If-Unmodified-Since names."},
	{err: errRange, status: 416, detail: "The range begins behind the picture's end."},
	{err: signature.ErrMissing, status: 401, detail: "The URL has to be signed: with X-Expires and X-Signature, each given once."},
	{err: signature.ErrExpires, status: 401, detail: "X-Expires is a whole number of seconds since 1970."},
	{err: signature.ErrExpired, status: 401, detail: "The signature has expired."},
	{err: signature.ErrTooLong, status: 401, detail: "X-Expires lies further ahead than signatures may be good for here."},
	{err: signature.ErrPath, status: 401, detail: "X-Path covers another path than the one that was asked for."},
	{err: signature.ErrSignature, status: 401, detail: "The signature is for something else, or made with another secret."},
	{err: signature.ErrSecrets, status: 500, detail: "The server cannot check signatures."},
	{err: errNotAdmitted, status: 401, detail: "Uploads need a key, as Authorization: Bearer KEY, or a signed URL."},
	{err: errSidecar, status: 403, detail: "Files beside a picture are not taken. Upload pictures to the namespace itself."},
	{err: fleet.ErrUnavailable, status: 503, detail: "The other servers cannot be reached. Try again in a moment."},
	{err: context.DeadlineExceeded, status: 504, detail: "The picture was not ready in time. Try again."},
	{err: context.Canceled, status: statusClientGone, detail: "The client left."},
}

// problem is an error as the client sees it: RFC 9457, and "error" for clients that know only that.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code,omitempty"` // why a signature was refused
	Detail string `json:"detail"`
	Option string `json:"option,omitempty"`
	Value  string `json:"value,omitempty"`
	Hint   string `json:"hint,omitempty"`
	Error  string `json:"error"`
}

// StatusOf returns the HTTP status for an error and the problem+json body that tells a client about it. Nothing of the
// error's own text is in it but what the table allows.
func StatusOf(err error) (status int, body []byte) {
	p := problemOf(err)
	p.Title = http.StatusText(p.Status)
	p.Error = p.Detail
	body, _ = json.Marshal(p) // strings and a number: cannot fail
	return p.Status, append(body, '\n')
}

func problemOf(err error) problem {
	var spec *transform.SpecError
	if errors.As(err, &spec) {
		return problem{
			Status: 400, Detail: spec.Option + " " + strings.ToValidUTF8(spec.Value, "?") + ": " + spec.Hint + ".",
			Option: spec.Option, Value: spec.Value, Hint: spec.Hint,
		}
	}
	for _, row := range statuses {
		if !errors.Is(err, row.err) {
			continue
		}
		return problem{Status: row.status, Detail: row.text(err), Code: codeOf(err)}
	}
	return problem{Status: 500, Detail: "Something went wrong here. The server's log says what."}
}

// text gives the row's own words, or what err says behind the sentinel where the row allows that.
func (r statusRow) text(err error) string {
	if !r.own {
		return r.detail
	}
	_, said, found := strings.Cut(err.Error(), r.err.Error()+": ")
	if !found || said == "" {
		return r.detail
	}
	return strings.ToUpper(said[:1]) + said[1:] + "."
}
