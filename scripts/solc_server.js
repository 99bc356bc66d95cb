#!/usr/bin/env node
// Keeps npm's compiler loaded: one standard-JSON request per line comes in, one answer per line goes out.
//
// Loading the compiler takes longer than compiling a contract without its optimizer, so scripts/mutate.py asks this
// instead of scripts/solc. Imports that a request does not bring along are read from the folder given as argument.
// It ends when its input does, so it never outlives who started it.
"use strict";

const fs = require("fs");
const path = require("path");
const readline = require("readline");

const root = path.resolve(process.argv[2]);
const solc = require(path.join(root, "node_modules", "solc"));
const read = new Map();

function contents(name) {
  if (!read.has(name)) {
    const file = path.resolve(root, name);
    read.set(name, fs.existsSync(file) ? fs.readFileSync(file, "utf8") : null);
  }
  return read.get(name);
}

function resolve(name) {
  const text = contents(name);
  return text === null ? { error: `${name} was not found` } : { contents: text };
}

process.stdout.on("error", () => process.exit()); // nobody listens any more

readline.createInterface({ input: process.stdin, crlfDelay: Infinity }).on("line", (request) => {
  process.stdout.write(`${solc.compile(request, { import: resolve })}\n`);
});
