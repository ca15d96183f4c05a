// Signatures for URLs, by the Web Crypto that Node, Deno, Bun and edge workers have. Secrets belong on servers: never ship this to a
// browser with one.

/**
 * Returns the parameters that sign a path until expires (Unix seconds, or a Date). The path is decoded and begins with a slash. With a
 * scope, such as /cat for /cat_300_200.webp, the same parameters serve all that it covers.
 * @param {{secret: string, method?: string, path: string, scope?: string, expires: number | Date}} what
 */
export async function parameters({ secret, method = "GET", path, scope = "", expires }) {
  const end = expires instanceof Date ? Math.floor(expires.getTime() / 1000) : expires;
  if (!secret) throw new TypeError("a secret is needed");
  if (!Number.isInteger(end)) throw new TypeError("expires: want whole seconds since 1970, or a Date");
  const bytes = (s) => new TextEncoder().encode(s);
  const key = await crypto.subtle.importKey("raw", bytes(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(`${method}\n${scope || path}\n${end}`)));
  const signature = btoa(String.fromCharCode(...mac)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return `X-Expires=${end}${scope ? `&X-Path=${encodeURIComponent(scope)}` : ""}&X-Signature=${signature}`;
}

/**
 * Returns a URL (whole, or a path) with its signature behind it. The options in its query are not signed.
 * @param {string} url
 * @param {{secret: string, method?: string, scope?: string, expires: number | Date}} how
 */
export async function sign(url, { secret, method, scope, expires }) {
  const { pathname } = new URL(url, "http://any");
  const separator = url.includes("?") ? "&" : "?";
  return url + separator + (await parameters({ secret, method, scope, expires, path: decodeURIComponent(pathname) }));
}

/**
 * Returns a function that signs every URL of one picture, all sizes and formats, with one signature: for srcsets.
 * @param {string} id
 * @param {{secret: string, method?: string, expires: number | Date}} how
 */
export async function signer(id, { secret, method, expires }) {
  const scope = "/" + id.normalize("NFC");
  const signature = await parameters({ secret, method, expires, path: scope, scope });
  const one = (url) => url + (url.includes("?") ? "&" : "?") + signature;
  return {
    url: one,
    /** Signs each candidate of a srcset. */
    srcset: (srcset) => srcset.split(", ").map((candidate) => candidate.replace(/^\S+/, one)).join(", "),
  };
}
