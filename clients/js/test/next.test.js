import assert from "node:assert/strict";
import { test } from "node:test";

import { loader } from "deckle-client/next";

test("a loader for Next.js", () => {
  const load = loader({ base: "https://images.example.com" });
  assert.equal(load({ src: "/shop/hat", width: 640 }), "https://images.example.com/shop/hat_640_0.auto");
  assert.equal(load({ src: "/shop/hat?fit=crop&max_bytes=900", width: 640, quality: 60 }), "https://images.example.com/shop/hat_640_0.auto?fit=crop&quality=60&max_bytes=900");
  assert.equal(load({ src: "/gr%C3%B6%C3%9Fe", width: 64 }), "https://images.example.com/gr%C3%B6%C3%9Fe_64_0.auto");
});

test("the standard one takes its base from the environment", async () => {
  process.env.NEXT_PUBLIC_DECKLE_URL = "https://pictures.example.com";
  const { default: load } = await import("../next.js?again");
  assert.equal(typeof load, "function");
  assert.equal(load({ src: "cat", width: 16 }), "https://pictures.example.com/cat_16_0.auto");
});
