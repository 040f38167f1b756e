// Zips functions with Netlify's own bundler: node zip.mjs PROJECT TARGET LEFT FUNCTION.mjs…
// Those named in LEFT, a list in JSON, are left in folders: to compress takes most of the time.
//
// Prints a line of JSON for each: its name, its zip, and how many files of the project it includes
// besides its code. What is not said is as Netlify's build has it.

import { basename, resolve } from "node:path";

import { zipFunction } from "@netlify/zip-it-and-ship-it";

const [project, target, left, ...files] = process.argv.slice(2);

await Promise.all(files.map((each) => zip(resolve(each))));

async function zip(file) {
  const archiveFormat = JSON.parse(left).includes(basename(file, ".mjs")) ? "none" : "zip";
  const found = await zipFunction(file, target, { basePath: project, repositoryRoot: project, archiveFormat });
  if (!found) throw new Error(`${file} is no function to Netlify`);
  const { name, path, includedFiles, invocationMode, config } = found;
  console.log(JSON.stringify({ name, path, included: includedFiles.length, invocationMode, config }));
}
