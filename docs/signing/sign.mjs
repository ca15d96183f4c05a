// Signs Deckle's URLs in JavaScript (Node 18 or newer, Bun, Deno). Copy it.
import { createHmac } from "node:crypto";
import process from "node:process";
import { pathToFileURL } from "node:url";

/**
 * Returns the query parameters that sign a path, decoded and beginning with a slash, until expires (Unix seconds).
 * With a scope, such as /cat for /cat_300_200.webp, the same parameters serve all that it covers.
 */
export function sign(secret, method, path, expires, scope = "") {
  const signature = createHmac("sha256", secret)
    .update(`${method}\n${scope || path}\n${expires}`)
    .digest("base64url");
  const extra = scope ? `&X-Path=${encodeURIComponent(scope)}` : "";
  return `X-Expires=${expires}${extra}&X-Signature=${signature}`;
}

// node sign.mjs SECRET METHOD PATH EXPIRES [SCOPE]
if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  console.log(sign(...process.argv.slice(2)));
}
