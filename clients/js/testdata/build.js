// Builds what the lines of standard input ask for, for the Go test: {"id", "options"} makes a URL, {"sign"} a signed one. One line
// of output for each of input.
import { createInterface } from "node:readline";

import { path } from "deckle-client";
import { sign, signer } from "deckle-client/sign";
import "./webcrypto.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { id, options, how, scoped } = JSON.parse(line);
  let url = path(id, options);
  if (how) url = scoped ? (await signer(id, how)).url(url) : await sign(url, how);
  console.log(url);
}
