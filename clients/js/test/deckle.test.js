import assert from "node:assert/strict";
import { test } from "node:test";

import { deckle, encodeID, fromQuery, path } from "deckle-client";

const images = deckle({ base: "https://images.example.com/" });

test("one picture", () => {
  for (const [id, options, want] of [
    ["cat", undefined, "/cat.auto"],
    ["cat", { width: 300, height: 200, dpr: 2, format: "webp" }, "/cat_300_200_2x.webp"],
    ["cat", { width: 299.6, dpr: 1.5, format: "jpg" }, "/cat_300_0_1.5x.jpg"],
    ["cat", { dpr: 2, format: "jpg" }, "/cat.jpg"],
    ["photo_300_200", { format: "jpg" }, "/photo_300_200_0_0.jpg"],
    ["photo_300_200_2x", { format: "jpg" }, "/photo_300_200_2x_0_0.jpg"],
    ["photo_300_200", { width: 10, format: "jpg" }, "/photo_300_200_10_0.jpg"],
    ["shop/größe", {}, "/shop/gr%C3%B6%C3%9Fe.auto"],
    ["gro\u0308\u00dfe", {}, "/gr%C3%B6%C3%9Fe.auto"],
    ["cat", { fit: "crop", gravity: { x: 1 / 3, y: 0 } }, "/cat.auto?fit=crop&gravity=fp:0.333333:0"],
    ["cat", { crop: [1, 2, 30, 40], rotate: 90 }, "/cat.auto?crop=1,2,30,40&rotate=90"],
    ["cat", { crop: { x0: 0, y0: 0.1, x1: 1, y1: 1e-7 + 0.5 } }, "/cat.auto?crop=0:0.1:1:0.5"],
    ["cat", { blur: true, sharpen: 0.5, enlarge: false, animate: false }, "/cat.auto?blur=true&sharpen=0.5&animate=false"],
    ["cat", { animate: true, gray: undefined, flip: null }, "/cat.auto"],
    ["cat", { background: "#a0f", watermark: { name: "logo", opacity: 0.8 } }, "/cat.auto?background=a0f&watermark=logo,southeast,0.25,0.8"],
    ["cat", { download: "a b&c.jpg", version: 7 }, "/cat.auto?download=a%20b%26c.jpg&v=7"],
    ["cat", { version: 1, preset: "thumb", fit: "cover" }, "/cat.auto?fit=cover&preset=thumb&v=1"],
  ]) {
    assert.equal(images.url(id, options), "https://images.example.com" + want);
  }
  assert.equal(images.original("cat", "jpg"), "https://images.example.com/cat.jpg");
  assert.equal(images.info("photo_1_2"), "https://images.example.com/photo_1_2_0_0.json");
  assert.equal(deckle({ base: "/img", format: "webp", quality: 60 }).url("cat", { quality: 70 }), "/img/cat.webp?quality=70");
  assert.equal(deckle().url("cat"), "/cat.auto");
});

test("what no server takes throws", () => {
  for (const id of ["", "/cat", "a//b", ".hidden", "a/.b", "token/x", "a b", "a?b", "a%b", "x".repeat(129), "a/".repeat(8) + "b", "emoji😀"]) {
    assert.throws(() => encodeID(id), TypeError, id);
  }
  for (const options of [
    { fitt: "crop" }, { width: -1 }, { width: 100000 }, { width: NaN }, { width: 1, dpr: 0 }, { width: 1, dpr: 21 }, { format: "../x" },
    { quality: 1.5 }, { gravity: { x: 2, y: 0 } }, { crop: [1, 2, 3, -4] }, { blur: Infinity },
  ]) {
    assert.throws(() => path("cat", options), undefined, JSON.stringify(options));
  }
});

test("several sizes", () => {
  assert.equal(
    images.srcset("cat", { width: 300, height: 200, format: "webp" }),
    "https://images.example.com/cat_300_200_1x.webp 1x, https://images.example.com/cat_300_200_2x.webp 2x",
  );
  assert.equal(
    deckle().srcset("cat", { width: 300, height: 200, widths: [150, 600, 600], fit: "crop", format: "jpg" }),
    "/cat_150_100.jpg?fit=crop 150w, /cat_600_400.jpg?fit=crop 600w",
  );
  assert.deepEqual(deckle().img("cat", { widths: [400, 800], sizes: "50vw" }), {
    src: "/cat_800_0.auto", srcset: "/cat_400_0.auto 400w, /cat_800_0.auto 800w", sizes: "50vw",
  });
  assert.deepEqual(deckle().img("cat", { width: 30, height: 20, densities: [1, 3] }), {
    src: "/cat_30_20.auto", srcset: "/cat_30_20_1x.auto 1x, /cat_30_20_3x.auto 3x", width: 30, height: 20,
  });
  assert.deepEqual(deckle().img("cat"), { src: "/cat.auto" });
  assert.deepEqual(deckle().picture("cat", { width: 30, formats: ["avif"] }), {
    sources: [{ type: "image/avif", srcset: "/cat_30_0_1x.avif 1x, /cat_30_0_2x.avif 2x" }],
    img: { src: "/cat_30_0.jpg", srcset: "/cat_30_0_1x.jpg 1x, /cat_30_0_2x.jpg 2x" },
  });
  assert.throws(() => deckle().picture("cat", { formats: ["auto"] }), TypeError);
});

test("options out of a query", () => {
  assert.deepEqual(fromQuery("max_bytes=20000&fit=crop&v=3"), { maxBytes: "20000", fit: "crop", version: "3" });
  assert.equal(path("cat", fromQuery("enlarge=true&background=%23fff&max_bytes=200")), "/cat.auto?enlarge=true&max_bytes=200&background=fff");
  assert.throws(() => fromQuery("w=3"), TypeError);
});
