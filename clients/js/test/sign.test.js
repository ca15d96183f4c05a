import assert from "node:assert/strict";
import { test } from "node:test";

import { parameters, sign, signer } from "deckle-client/sign";
import "../testdata/webcrypto.js";

const secret = "test-secret";
const expires = 1702156800;

test("the vector of the scheme", async () => {
  const want = "X-Expires=1702156800&X-Signature=rpVGAdSnV7rtH5CxMLzYxd0TYRYHOqyergYCSFg37VA";
  assert.equal(await parameters({ secret, method: "POST", path: "/photos", expires }), want);
  assert.equal(await parameters({ secret, method: "POST", path: "/photos", expires: new Date(expires * 1000 + 999) }), want);
  assert.equal(await sign("https://images.example.com/photos?a=b", { secret, method: "POST", expires }), "https://images.example.com/photos?a=b&" + want);
});

test("the path is signed decoded", async () => {
  const decoded = await parameters({ secret, path: "/größe.jpg", expires });
  assert.equal(await sign("/gr%C3%B6%C3%9Fe.jpg", { secret, expires }), "/gr%C3%B6%C3%9Fe.jpg?" + decoded);
});

test("one signature for a srcset", async () => {
  const cat = await signer("cat", { secret, expires });
  const one = await parameters({ secret, path: "/cat", scope: "/cat", expires });
  assert.equal(cat.srcset("/cat_1_0.jpg 1w, /cat_2_0.jpg?fit=crop 2w"), `/cat_1_0.jpg?${one} 1w, /cat_2_0.jpg?fit=crop&${one} 2w`);
});

test("without a secret or an end there is no signature", async () => {
  await assert.rejects(parameters({ secret: "", path: "/x", expires }), TypeError);
  await assert.rejects(parameters({ secret, path: "/x", expires: "soon" }), TypeError);
});
