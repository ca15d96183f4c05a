package proxy

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"deckle/origin"

	"github.com/valyala/fasthttp"
)

// Policy is what answers tell the caches that stand between Deckle and its viewers. Durations count in whole seconds; where 0
// has no meaning of its own it leaves a directive out.
//
// No answer carries Age (RFC 9111 section 5.1): whichever tier gave the bytes, the version they belong to was looked up for
// this request, so that the answer is as fresh as its Date, and every max-age counts from there. That holds however long a tier
// has kept an entry, and whatever the clocks of other nodes said when they made it.
type Policy struct {
	MaxAge               time.Duration // how long a picture is kept without asking again
	SharedMaxAge         time.Duration // the same for shared caches; 0 for MaxAge
	StaleWhileRevalidate time.Duration // how long after that it may be used while a cache asks again behind the answer (RFC 5861)
	StaleIfError         time.Duration // how long after that it may be used while Deckle answers with errors (RFC 5861)
	ErrorMaxAge          time.Duration // how long an error is kept that the same request would meet again; 0 for not at all
	CDN                  string        // CDN-Cache-Control, as CheckCDN takes it; empty for none
	Tags                 bool          // names the source and its folders in Surrogate-Key and Cache-Tag, for purging by them

	AutoRedirect   bool          // answers .auto with a redirect to the format, for caches that pass over Vary
	RedirectMaxAge time.Duration // how long such a redirect is kept, and one to a public copy
	ClientHints    bool          // lets hints choose what an .auto URL leaves open
}

// versionedControl is the Cache-Control of a URL that carries a version mark (RFC 8246).
const versionedControl = "public, max-age=31536000, immutable"

// told is a Policy as header values.
type told struct {
	fresh     []byte // Cache-Control of an answer that may change
	versioned []byte // of one that does not
	failed    []byte // of an error that the same request would meet again
	private   []byte // of a source that is not for everybody
	cdn       []byte // empty for none
}

// tell puts the header values together once.
func (p Policy) tell() told {
	fresh := []byte("public, max-age=")
	fresh = appendSeconds(fresh, p.MaxAge)
	for _, directive := range []struct {
		name string
		d    time.Duration
	}{
		{"s-maxage", p.SharedMaxAge}, {"stale-while-revalidate", p.StaleWhileRevalidate}, {"stale-if-error", p.StaleIfError},
	} {
		if directive.d >= time.Second {
			fresh = appendSeconds(append(append(append(fresh, ", "...), directive.name...), '='), directive.d)
		}
	}
	failed := []byte(noStore)
	if p.ErrorMaxAge >= time.Second {
		failed = appendSeconds([]byte("public, max-age="), p.ErrorMaxAge)
	}
	return told{fresh: fresh, versioned: []byte(versionedControl), failed: failed, private: appendSeconds([]byte("private, max-age="), p.MaxAge), cdn: []byte(p.CDN)}
}

const noStore = "no-store"

func appendSeconds(b []byte, d time.Duration) []byte {
	return strconv.AppendInt(b, int64(max(0, d)/time.Second), 10)
}

// lasting lists the statuses of errors that lie in the request or in the source: asked again at once, they would be the same.
var lasting = map[int]bool{
	fasthttp.StatusBadRequest: true, fasthttp.StatusNotFound: true, fasthttp.StatusGone: true, fasthttp.StatusRequestEntityTooLarge: true,
	fasthttp.StatusUnsupportedMediaType: true, fasthttp.StatusUnprocessableEntity: true,
}

// Names of headers in the form that fasthttp writes, so that it need not make it each time.
var (
	headerCacheStatus  = []byte("Cache-Status")
	headerServerTiming = []byte("Server-Timing")
	headerCacheControl = []byte(fasthttp.HeaderCacheControl)
	headerCDNControl   = []byte("CDN-Cache-Control") // RFC 9213
	headerETag         = []byte(fasthttp.HeaderETag)
	headerModified     = []byte(fasthttp.HeaderLastModified)
	headerRanges       = []byte(fasthttp.HeaderAcceptRanges)
	headerVary         = []byte(fasthttp.HeaderVary)
	valueBytes         = []byte("bytes")
)

// keep tells caches how long they may keep what r is answered with.
func (p *Proxy) keep(h *fasthttp.ResponseHeader, r *Request) {
	control := p.told.fresh
	if r.Versioned {
		control = p.told.versioned
	}
	h.SetCanonical(headerCacheControl, control)
	if len(p.told.cdn) > 0 {
		h.SetCanonical(headerCDNControl, p.told.cdn)
	}
}

// tag names a source for purging, where that is switched on.
func (p *Proxy) tag(h *fasthttp.ResponseHeader, source string) {
	if !p.Tags || source == "" {
		return
	}
	tags := Tags(source)
	h.Set("Surrogate-Key", strings.Join(tags, " "))
	h.Set("Cache-Tag", strings.Join(tags, ","))
}

// maxTags bounds the tags of one answer together, bytes: proxies often take a header of no more than 4 KiB in all.
const maxTags = 1024

// Tags returns what an answer about a source is tagged with: the id, then the folders it is in, the outermost first, each with
// its slash at the end, as in shop/shoes/red, shop/, shop/shoes/. What is no letter, digit, dot, underscore, tilde, hyphen or
// slash is percent-encoded, so that a tag holds no separator of any list. Folders that would take the whole beyond 1 KiB are
// left out.
func Tags(source string) []string {
	if origin.CheckID(source) != nil {
		return nil
	}
	whole := encodeID(source)
	tags, size := []string{whole}, len(whole)
	for i := range len(whole) {
		if whole[i] != '/' {
			continue
		}
		if size += i + 2; size > maxTags {
			break
		}
		tags = append(tags, whole[:i+1])
	}
	return tags
}

// CheckCDN tells what is wrong with a value for CDN-Cache-Control: directives as in max-age=86400, stale-if-error=3600 (RFC 9213
// section 2.1: a dictionary of structured fields). Empty is nothing wrong.
func CheckCDN(value string) error {
	if value == "" {
		return nil
	}
	for member := range strings.SplitSeq(value, ",") {
		name, number, valued := strings.Cut(strings.Trim(member, " "), "=")
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || name[0] < 'a' {
			return errCDN
		}
		if valued && (number == "" || len(number) > 15 || strings.Trim(number, "0123456789") != "") {
			return errCDN
		}
	}
	return nil
}

var errCDN = errors.New("directives as in max-age=86400, stale-if-error=3600")
