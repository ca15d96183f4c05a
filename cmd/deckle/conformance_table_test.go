package main

// httpCases is the table: rows about validators and ranges run on a variant and on the stored source alike.
func httpCases() []httpCase {
	var cases []httpCase
	for _, target := range []string{"/cat_40_30.webp", "/cat.jpg"} {
		for _, method := range []string{"GET", "HEAD"} {
			for _, row := range validatorRows {
				row.ask = method + " " + target
				row.name = method + " " + target + " " + row.name
				cases = append(cases, row)
			}
		}
		for _, row := range rangeRows {
			row.ask = "GET " + target
			row.name = target + " " + row.name
			cases = append(cases, row)
		}
	}
	return append(append(cases, ifRangeDateRows...), otherRows...)
}

// Why a shared cache answers otherwise.
const (
	ownError  = "nginx writes the page for a status of its own"
	multipart = "nginx has the whole body and may send several parts of it (9110 14.2 leaves it to the server)"
	keptHint  = "the stored answer is sent with the Cache-Status it was stored with (9211 2)"
	strict    = "nginx takes what is no range for one that cannot be satisfied"
)

const (
	kept       = "\nEtag= {tag}\nLast-Modified= {date}\nCache-Control: max-age=3600"
	notChanged = "304\nnone" + kept + "\nContent-Length:"
	fullAnswer = "200" + kept + "\nContent-Length= {size}\nAccept-Ranges= bytes"
	refused    = "412\nCache-Control= no-store"
)

// ifRangeDateRows differ: the stored source has one representation of a date, a variant may have been rendered twice.
var ifRangeDateRows = []httpCase{
	{section: "9110 13.1.5", name: "If-Range, the date of the source", ask: "GET /cat.jpg", headers: "Range: bytes=1-2\nIf-Range: {date}", want: part + "bytes 1-2"},
	{section: "9110 13.1.5", name: "If-Range, the date of a variant", ask: "GET /cat_40_30.webp", headers: "Range: bytes=1-2\nIf-Range: {date}", want: fullAnswer + "\nwhole",
		cdn: part + "bytes 1-2", why: "nginx has one rendering; to us the date may be that of another, with other bytes"},
}

var validatorRows = []httpCase{
	{section: "9110 9.3.1", name: "plain", want: fullAnswer},
	{section: "9110 13.1.2", name: "the tag", headers: `If-None-Match: {tag}`, want: notChanged},
	{section: "9110 13.1.2", name: "the tag, weak", headers: `If-None-Match: W/{tag}`, want: notChanged},
	{section: "9110 13.1.2", name: "any tag", headers: `If-None-Match: *`, want: notChanged},
	{section: "9110 13.1.2", name: "a list", headers: `If-None-Match: "x", {tag}, "y"`, want: notChanged},
	{section: "9110 5.6.1", name: "a list with empty elements", headers: `If-None-Match: ,, "x" , {tag},`, want: notChanged},
	{section: "9110 8.8.3", name: "another tag", headers: `If-None-Match: "x"`, want: fullAnswer},
	{section: "9110 8.8.3", name: "a tag that holds a comma", headers: `If-None-Match: "x,y", "z"`, want: fullAnswer},
	{section: "9110 5.3", name: "two lines", headers: "If-None-Match: \"x\"\nIf-None-Match: {tag}", want: notChanged,
		cdn: "400", why: "nginx takes a second line of this field for an attack"},
	{section: "9110 13.1.3", name: "the date", headers: `If-Modified-Since: {date}`, want: notChanged},
	{section: "9110 13.1.3", name: "a later date", headers: `If-Modified-Since: {after}`, want: notChanged},
	{section: "9110 13.1.3", name: "an earlier date", headers: `If-Modified-Since: {before}`, want: fullAnswer},
	{section: "9110 13.1.3", name: "no date", headers: `If-Modified-Since: yesterday`, want: fullAnswer},
	{section: "9110 5.6.7", name: "the date in RFC 850's form", headers: `If-Modified-Since: {rfc850}`, want: notChanged},
	{section: "9110 5.6.7", name: "the date in asctime's form", headers: `If-Modified-Since: {asctime}`, want: notChanged},
	{section: "9110 13.1.3", name: "a date beside another tag", headers: "If-None-Match: \"x\"\nIf-Modified-Since: {after}", want: fullAnswer},
	{section: "9110 13.1.2", name: "an earlier date beside the tag", headers: "If-None-Match: {tag}\nIf-Modified-Since: {before}", want: notChanged,
		cdn: fullAnswer, why: "nginx wants both to hold, which costs a body"},
	{section: "9110 13.1.1", name: "If-Match, the tag", headers: `If-Match: {tag}`, want: fullAnswer},
	{section: "9110 13.1.1", name: "If-Match, any", headers: `If-Match: *`, want: fullAnswer},
	{section: "9110 13.1.1", name: "If-Match, a list", headers: `If-Match: "x", {tag}`, want: fullAnswer},
	{section: "9110 13.1.1", name: "If-Match, another", headers: `If-Match: "x"`, want: refused, cdn: "412", why: ownError},
	{section: "9110 8.8.3.2", name: "If-Match, weak", headers: `If-Match: W/{tag}`, want: refused, cdn: "412", why: ownError},
	{section: "9110 13.1.4", name: "If-Unmodified-Since, the date", headers: `If-Unmodified-Since: {date}`, want: fullAnswer},
	{section: "9110 13.1.4", name: "If-Unmodified-Since, earlier", headers: `If-Unmodified-Since: {before}`, want: refused, cdn: "412", why: ownError},
	{section: "9110 13.1.4", name: "If-Unmodified-Since, no date", headers: `If-Unmodified-Since: x`, want: fullAnswer,
		cdn: "412", why: "nginx takes what is no date for an early one"},
	{section: "9110 13.2.2", name: "If-Match decides before If-None-Match", headers: "If-Match: \"x\"\nIf-None-Match: {tag}", want: refused, cdn: "412", why: ownError},
	{section: "9110 13.2.2", name: "both hold", headers: "If-Match: {tag}\nIf-None-Match: {tag}", want: notChanged},
}

const part = "206" + kept + "\n"

var rangeRows = []httpCase{
	{section: "9110 14.1.2", name: "a range", headers: "Range: bytes=10-19", want: part + "Content-Range= bytes 10-19/{size}\nContent-Length= 10\nbytes 10-19"},
	{section: "9110 14.1.2", name: "one byte", headers: "Range: bytes=0-0", want: part + "Content-Range= bytes 0-0/{size}\nbytes 0-0"},
	{section: "9110 14.1.2", name: "open", headers: "Range: bytes=7-", want: part + "Content-Range: bytes 7-\nbytes 7-99999999"},
	{section: "9110 14.1.2", name: "suffix", headers: "Range: bytes=-5", want: part + "Content-Range: /{size}\nbytes -5--1"},
	{section: "9110 14.1.2", name: "a suffix longer than all", headers: "Range: bytes=-9999999", want: part + "Content-Range: bytes 0-\nbytes 0-99999999"},
	{section: "9110 14.1.2", name: "a range beyond the end", headers: "Range: bytes=5-9999999", want: part + "Content-Range: bytes 5-\nbytes 5-99999999"},
	{section: "9110 14.1.2", name: "behind the end", headers: "Range: bytes=9999999-", want: "416\nContent-Range= bytes */{size}\nCache-Control= no-store",
		cdn: "416\nContent-Range= bytes */{size}", why: ownError},
	{section: "9110 14.1.2", name: "a suffix of nothing", headers: "Range: bytes=-0", want: "416\nContent-Range= bytes */{size}", cdn: "416", why: ownError},
	{section: "9110 14.1.1", name: "backwards", headers: "Range: bytes=9-5", want: fullAnswer + "\nwhole", cdn: "416", why: strict},
	{section: "9110 14.2", name: "malformed", headers: "Range: bytes=a-b", want: fullAnswer + "\nwhole", cdn: "416", why: strict},
	{section: "9110 14.2", name: "another unit", headers: "Range: lines=1-2", want: fullAnswer + "\nwhole"},
	{section: "9110 14.1", name: "the unit in capitals", headers: "Range: BYTES=1-2", want: part + "Content-Range= bytes 1-2/{size}"},
	{section: "9110 14.2", name: "several ranges", headers: "Range: bytes=0-1,5-6", want: fullAnswer + "\nwhole",
		cdn: "206\nContent-Type: multipart/byteranges", why: multipart},
	{section: "9110 13.1.5", name: "If-Range, the tag", headers: "Range: bytes=1-2\nIf-Range: {tag}", want: part + "bytes 1-2"},
	{section: "9110 13.1.5", name: "If-Range, weak", headers: "Range: bytes=1-2\nIf-Range: W/{tag}", want: fullAnswer + "\nwhole"},
	{section: "9110 13.1.5", name: "If-Range, another tag", headers: "Range: bytes=1-2\nIf-Range: \"x\"", want: fullAnswer + "\nwhole"},
	{section: "9110 13.1.5", name: "If-Range, a later date", headers: "Range: bytes=1-2\nIf-Range: {after}", want: fullAnswer + "\nwhole"},
	{section: "9110 13.1.5", name: "If-Range, an earlier date", headers: "Range: bytes=1-2\nIf-Range: {before}", want: fullAnswer + "\nwhole"},
	{section: "9110 13.1.5", name: "If-Range alone", headers: "If-Range: \"x\"", want: fullAnswer + "\nwhole"},
	{section: "9110 13.2.2", name: "not modified comes before a range", headers: "Range: bytes=1-2\nIf-None-Match: {tag}", want: notChanged},
	{section: "9110 13.2.2", name: "If-Match holds, then the range", headers: "Range: bytes=1-2\nIf-Match: {tag}", want: part + "bytes 1-2"},
}

const (
	chrome = "Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
	safari = "Accept: image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"
	plain  = "Cache-Control= public, max-age=3600, stale-while-revalidate=3600, stale-if-error=86400"
	brief  = "Cache-Control= public, max-age=10"
)

var otherRows = []httpCase{
	// Methods.
	{section: "9110 9.3.2", name: "HEAD ignores Range", ask: "HEAD /cat_40_30.webp", headers: "Range: bytes=1-2", want: fullAnswer,
		cdn: "206\nContent-Range= bytes 1-2/{size}", why: "nginx says of HEAD what it would of GET; 9110 14.2 defines Range for GET alone"},
	{section: "9110 9.3.2", name: "HEAD of what is not there", ask: "HEAD /dog.jpg", want: "404\nnone\n" + brief},
	{section: "9110 9.3.7", name: "OPTIONS", ask: "OPTIONS /cat.jpg", want: "204\nAllow= GET, HEAD, POST, PUT, OPTIONS\nnone"},
	{section: "9110 9.3.7", name: "OPTIONS of the server", ask: "OPTIONS *", want: "204\nAllow: GET", cdn: "400", why: "nginx does not know the asterisk form"},
	{section: "Fetch 4.8", name: "a preflight", ask: "OPTIONS /cat.jpg", headers: "Origin: http://y\nAccess-Control-Request-Method: GET",
		want: "204\nAccess-Control-Allow-Origin= *\nAccess-Control-Allow-Methods: GET\nAccess-Control-Allow-Headers: range"},
	{section: "9110 15.5.6", name: "PATCH", ask: "PATCH /cat.jpg", headers: "Content-Length: 0", want: "405\nAllow: GET, HEAD\nCache-Control= no-store"},
	{section: "9110 15.5.6", name: "DELETE", ask: "DELETE /cat.jpg", want: "405\nAllow: GET, HEAD\nCache-Control= no-store"},
	{section: "9110 9.3.8", name: "TRACE", ask: "TRACE /cat.jpg", want: "405\nAllow: GET, HEAD", cdn: "405", why: ownError},
	{section: "9110 9.1", name: "methods have a case", ask: "get /cat.jpg", want: "405\nAllow: GET, HEAD", cdn: "400", why: "nginx refuses it as no method"},
	{section: "9110 15.5.6", name: "a fixed path", ask: "POST /_health", headers: "Content-Length: 0", want: "405\nAllow= GET, HEAD"},
	{section: "9112 3.2.2", name: "the absolute form", ask: "GET http://x/cat_40_30.webp", want: "200\nContent-Type= image/webp"},
	{section: "9112 6.3", name: "a GET with a body", ask: "GET /cat_40_30.webp?v=7", headers: "Content-Length: 1\n\nx", want: "400\nCache-Control= no-store"},

	// Storing.
	{section: "9111 5.2.2", name: "a picture", ask: "GET /cat_41_0.webp", want: "200\n" + plain + "\nVary:\nCache-Status: Deckle; "},
	{section: "9111 3", name: "a picture again", ask: "GET /cat_41_0.webp", want: "200\n" + plain + "\nX-Cache:", cdn: "200\n" + plain + "\nX-Cache= HIT", why: "it is kept"},
	{section: "8246 2", name: "a versioned picture", ask: "GET /cat_41_0.webp?v=3", want: "200\nCache-Control= public, max-age=31536000, immutable"},
	{section: "8246 2", name: "its 304", ask: "GET /cat_41_0.webp?v=3", headers: "If-None-Match: {tag}", want: "304\nCache-Control= public, max-age=31536000, immutable"},
	{section: "9111 4.2", name: "no such picture", ask: "GET /dog_40_30.webp", want: "404\n" + brief + "\nContent-Type= application/problem+json\nEtag:\nCache-Status:"},
	{section: "9111 4.2", name: "no such picture again", ask: "GET /dog_40_30.webp", want: "404\n" + brief, cdn: "404\nX-Cache= HIT", why: "it is kept for a moment"},
	{section: "9111 4.2", name: "an option that is none", ask: "GET /cat_40_30.webp?fti=crop", want: "400\n" + brief + "\nContent-Type= application/problem+json"},
	{section: "9111 4.2", name: "a path outside the grammar", ask: "GET /%2e%2e/cat.jpg", want: "404\n" + brief, cdn: "400", why: "nginx refuses to leave the root itself"},
	{section: "9111 4.2", name: "no picture", ask: "GET /text_40_30.webp", want: "415\n" + brief},
	{section: "9111 4.2", name: "a broken picture", ask: "GET /broken_40_30.webp", want: "422\n" + brief},
	{section: "9111 3", name: "an error that is not to be kept", ask: "ladder|GET /dog_40_40.webp", want: "404\nCache-Control= no-store"},
	{section: "9110 15.4.8", name: "a size beyond the bounds", ask: "GET /cat_9000_30.webp", want: "307\nLocation: /cat_4096_30.webp\n" + plain},
	{section: "9211 2", name: "a miss", ask: "GET /cat_43_0.webp", want: "200\nCache-Status: Deckle; ", cdn: "200\nCache-Status: Deckle; ", why: keptHint},
	{section: "9211 2", name: "a hit", ask: "GET /cat_43_0.webp", want: "200\nCache-Status: Deckle; hit; detail=", cdn: "200\nCache-Status: Deckle; ", why: keptHint},
	{section: "9211 2.2", name: "the stored source", ask: "GET /cat.jpg", want: "200\nCache-Status: Deckle; fwd=bypass; detail=original\nContent-Type= image/jpeg"},
	{section: "Server Timing 3", name: "where the time went", ask: "GET /cat_43_0.webp", want: "200\nServer-Timing: memory;dur=", cdn: "200\nServer-Timing: ;dur=", why: keptHint},
	{section: "9111 5.2.2.5", name: "health", ask: "GET /_health", want: "200\nCache-Control= no-store"},
	{section: "9111 5.2.2.1", name: "robots", ask: "GET /robots.txt", want: "200\nCache-Control= public, max-age=86400"},
	{section: "9111 4.2", name: "no icon", ask: "GET /favicon.ico", want: "404\nCache-Control= public, max-age=86400"},
	{section: "9111 5.2.2.10", name: "a time for shared caches", ask: "told|GET /cat_40_30.webp", want: "200\nCache-Control= public, max-age=600, s-maxage=7200, stale-while-revalidate=3600, stale-if-error=86400"},
	{section: "9213 2.1", name: "a time for CDNs", ask: "told|GET /cat_40_30.webp", want: "200\nCDN-Cache-Control= max-age=86400"},
	{section: "9213 2.1", name: "on a 304 too", ask: "told|GET /cat_40_30.webp", headers: "If-None-Match: {tag}", want: "304\nCDN-Cache-Control= max-age=86400\nSurrogate-Key= cat\nCache-Tag= cat"},
	{section: "9213 2.1", name: "not on errors", ask: "told|GET /dog_40_30.webp", want: "404\nCDN-Cache-Control:\nSurrogate-Key= dog\n" + brief},
	{section: "Surrogate-Key", name: "folders", ask: "told|GET /shop/hat/42_40_30.webp?v=1", want: "200\nSurrogate-Key= shop/hat/42 shop/ shop/hat/\nCache-Tag= shop/hat/42,shop/,shop/hat/"},
	{section: "Surrogate-Key", name: "the stored source", ask: "told|GET /shop/hat/42.jpg", want: "200\nSurrogate-Key= shop/hat/42 shop/ shop/hat/"},
	{section: "Surrogate-Key", name: "not unless asked for", ask: "GET /shop/hat/42.jpg", want: "200\nSurrogate-Key:\nCache-Tag:\nCDN-Cache-Control:"},

	// Negotiation.
	{section: "9110 12.5.1", name: "Chrome", ask: "GET /cat_40_30.auto", headers: chrome, want: "200\nContent-Type= image/avif\nVary= Accept\nwhole"},
	{section: "9110 12.5.1", name: "Safari", ask: "GET /cat_40_30.auto", headers: safari, want: "200\nContent-Type= image/webp\nVary= Accept\nwhole"},
	{section: "9110 12.5.1", name: "no Accept", ask: "GET /cat_40_30.auto", want: "200\nContent-Type= image/jpeg\nVary= Accept\nwhole"},
	{section: "9110 12.5.1", name: "anything", ask: "GET /cat_40_30.auto", headers: "Accept: */*", want: "200\nContent-Type= image/jpeg\nVary= Accept"},
	{section: "9110 12.5.1", name: "any picture", ask: "GET /cat_40_30.auto", headers: "Accept: image/*", want: "200\nContent-Type= image/jpeg\nVary= Accept"},
	{section: "9110 12.4.2", name: "AVIF refused", ask: "GET /cat_40_30.auto", headers: "Accept: image/avif;q=0,image/webp", want: "200\nContent-Type= image/webp\nVary= Accept"},
	{section: "9110 12.4.2", name: "both refused", ask: "GET /cat_40_30.auto", headers: "Accept: image/avif;q=0,image/webp;q=0.000", want: "200\nContent-Type= image/jpeg\nVary= Accept"},
	{section: "9110 12.4.2", name: "WebP preferred", ask: "GET /cat_40_30.auto", headers: "Accept: image/avif;q=0.8,image/webp;q=0.9", want: "200\nContent-Type= image/webp\nVary= Accept"},
	{section: "9110 12.4.2", name: "the rest preferred", ask: "GET /cat_40_30.auto", headers: "Accept: image/webp;q=0.1,image/*", want: "200\nContent-Type= image/jpeg\nVary= Accept"},
	{section: "9110 12.4.2", name: "a weight that is none", ask: "GET /cat_40_30.auto", headers: "Accept: image/webp;q=high", want: "200\nContent-Type= image/jpeg\nVary= Accept"},
	{section: "9110 12.5.1", name: "case and space", ask: "GET /cat_40_30.auto", headers: "Accept:  IMAGE/WebP ;Q=1.0", want: "200\nContent-Type= image/webp\nVary= Accept"},
	{section: "9110 5.3", name: "two lines of Accept", ask: "GET /cat_40_30.auto", headers: "Accept: image/webp\nAccept: image/avif", want: "200\nContent-Type= image/avif\nVary= Accept"},
	{section: "9110 12.5.1", name: "a name in a parameter", ask: "GET /cat_40_30.auto", headers: `Accept: text/x;y="image/webp,image/avif"`, want: "200\nContent-Type= image/jpeg\nVary= Accept"},
	{section: "9110 12.5.5", name: "a 304", ask: "GET /cat_40_30.auto", headers: safari + "\nIf-None-Match: {tag}", want: "304\nVary= Accept\nEtag= {tag}"},
	{section: "9110 8.8.3", name: "another format's tag", ask: "GET /cat_40_30.auto", headers: safari + "\nIf-None-Match: \"x\"", want: "200\nVary= Accept\nwhole"},
	{section: "9110 12.5.5", name: "a part", ask: "GET /cat_40_30.auto", headers: safari + "\nRange: bytes=3-9", want: "206\nVary= Accept\nbytes 3-9"},
	{section: "9110 12.5.5", name: "a precondition that fails", ask: "GET /cat_40_30.auto", headers: "If-Match: \"x\"", want: "412\nVary= Accept", cdn: "412", why: ownError},
	{section: "9110 12.5.5", name: "a 404", ask: "GET /dog_40_30.auto", want: "404\nVary= Accept\n" + brief},
	{section: "9110 12.5.5", name: "a 400", ask: "GET /cat_40_30.auto?fit=corp", want: "400\nVary= Accept\n" + brief},
	{section: "9110 12.5.5", name: "a redirect to bounds", ask: "GET /cat_9000_30.auto", want: "307\nVary= Accept"},
	{section: "9110 12.5.5", name: "the stored source", ask: "GET /cat.auto", want: "200\nVary= Accept\nContent-Type= image/jpeg"},
	{section: "9110 12.5.5", name: "opting in to WebP", ask: "GET /cat_40_30.png?allow_webp=true", headers: chrome, want: "200\nContent-Type= image/webp\nVary= Accept"},
	{section: "9110 12.5.5", name: "opting in, without", ask: "GET /cat_40_30.png?allow_webp=true", headers: "Accept: image/avif", want: "200\nContent-Type= image/png\nVary= Accept"},
	{section: "9110 12.5.5", name: "nothing negotiated", ask: "GET /cat_40_30.png", headers: chrome, want: "200\nContent-Type= image/png\nVary:"},
	{section: "9110 12.1", name: "an animation stays one", ask: "GET /film_20_0.auto", headers: chrome, want: "200\nContent-Type= image/webp\nVary= Accept\nwhole"},
	{section: "9110 12.1", name: "an animation for others", ask: "GET /film_20_0.auto", headers: "Accept: */*", want: "200\nContent-Type= image/gif\nVary= Accept"},
	{section: "9110 12.1", name: "transparency stays", ask: "GET /leaf_20_0.auto", headers: "Accept: */*", want: "200\nContent-Type= image/png\nVary= Accept"},
	{section: "9110 15.4.3", name: "a redirect to AVIF", ask: "redirect|GET /cat_40_30.auto?fit=crop", headers: chrome, want: "302\nLocation: /cat_40_30.avif?fit=crop\nCache-Control= private, max-age=60\nVary= Accept"},
	{section: "9110 15.4.3", name: "a redirect to WebP", ask: "redirect|GET /cat_40_30.auto?fit=crop", headers: safari, want: "302\nLocation: /cat_40_30.webp?fit=crop\nVary= Accept\nX-Cache:",
		cdn: "302\nLocation: /cat_40_30.webp?fit=crop\nX-Cache= MISS", why: "nobody's redirect is another's"},
	{section: "9110 15.4.3", name: "a redirect to the family", ask: "redirect|GET /leaf_20_0.auto", want: "302\nLocation: /leaf_20_0.png"},
	{section: "9110 15.4.3", name: "a redirect of an animation", ask: "redirect|GET /film_20_0.auto", headers: chrome, want: "302\nLocation: /film_20_0.webp"},
	{section: "9110 15.4.3", name: "where it leads", ask: "redirect|GET /cat_40_30.webp?fit=crop", headers: chrome, want: "200\nContent-Type= image/webp\nVary:"},
	{section: "8942 3.1", name: "hints are asked for", ask: "told|GET /cat_40_30.auto", want: "200\nAccept-CH: Sec-CH-DPR\nVary= Accept, Sec-CH-DPR, DPR, Save-Data\nContent-DPR:"},
	{section: "8942 3.2", name: "a ratio", ask: "told|GET /cat_40_30.auto", headers: "DPR: 1.8", want: "200\nContent-DPR= 2\nVary= Accept, Sec-CH-DPR, DPR, Save-Data"},
	{section: "8942 3.2", name: "a ratio that the URL has", ask: "told|GET /cat_40_30_2x.auto", headers: "DPR: 3", want: "200\nContent-DPR:\nVary= Accept, Save-Data"},
	{section: "8942 3.2", name: "a URL that leaves nothing open", ask: "told|GET /cat_40_30.webp", headers: "DPR: 3", want: "200\nContent-DPR:\nVary:\nAccept-CH:"},
	{section: "8942 3.1", name: "hints that nobody asked for", ask: "GET /cat_40_30.auto", headers: "DPR: 3", want: "200\nContent-DPR:\nVary= Accept\nAccept-CH:\nwhole"},

	// One picture, one entry.
	{section: "9110 15.4.8", name: "between two rungs", ask: "ladder|GET /cat_41_20.webp?fit=crop&v=2", want: "307\nLocation: /cat_80_40.webp?fit=crop&v=2"},
	{section: "9110 8.8.3", name: "a preset's tag", ask: "ladder|GET /cat.webp?preset=thumb", headers: "If-None-Match: {tag}", want: "304"},
	{section: "9110 8.8.3", name: "spelled with a ratio", ask: "GET /cat_20_15_2x.webp", headers: "If-None-Match: {tag}", want: "304"},
}
