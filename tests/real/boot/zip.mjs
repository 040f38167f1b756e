// Zips functions with Netlify's own bundler: node zip.mjs PROJECT TARGET FUNCTION.mjs…
//
// Prints a line of JSON for each: its name, its zip, and how many files of the project it includes
// besides its code. What is not said is as Netlify's build has it.

import { resolve } from "node:path";

import { zipFunction } from "@netlify/zip-it-and-ship-it";

const [project, target, ...files] = process.argv.slice(2).map((each) => resolve(each));

await Promise.all(files.map(zip));

async function zip(file) {
  const found = await zipFunction(file, target, { basePath: project, repositoryRoot: project });
  if (!found) throw new Error(`${file} is no function to Netlify`);
  const { name, path, includedFiles, invocationMode, config } = found;
  console.log(JSON.stringify({ name, path, included: includedFiles.length, invocationMode, config }));
}
