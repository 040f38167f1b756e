// A function of the project beside this folder, and the Python it runs in.

import { appendFileSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { http } from "../../../../kit/deploy/function/runtime/http.mjs";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
export const python = process.env.PYTHON ?? join(root, ".venv/bin/python");

/** Lay out a bundle; what is given overrides the manifest. */
export function makeBundle(manifest = {}) {
  const folder = mkdtempSync(join(tmpdir(), "kit-bundle-"));
  const bundle = join(folder, ".kit", "bundle");
  mkdirSync(bundle, { recursive: true });
  const whole = {
    python,
    root: join(root, "tests/deploy/function/project"),
    paths: [root],
    folder: "functions/workflows",
    workflows: {},
    functions: {
      ...Object.fromEntries(
        ["methods", "streams", "starting", "empty", "broken", "missing"].map((name) => [name, `functions/api/${name}.py`]),
      ),
      "things/[id]": "functions/api/things/[id].py",
    },
    ...manifest,
  };
  writeFileSync(join(bundle, "manifest.json"), JSON.stringify(whole));
  process.env.TALLY = join(folder, "tally");
  process.env.PYTHONDONTWRITEBYTECODE = "1";
  return {
    metaUrl: pathToFileURL(join(folder, "functions", "entry.mjs")).href,
    noted: () => {
      try {
        return readFileSync(join(folder, "tally"), "utf8").split("\n").filter(Boolean);
      } catch {
        return [];
      }
    },
    note: (line) => appendFileSync(join(folder, "tally"), `${line}\n`),
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** Return a way to call functions: `ask("methods?what=text", {method: …})`. */
export function makeAsk(bundle, { origin = "https://shop.example", context = {} } = {}) {
  return (path, init = {}, more = {}) => {
    const url = new URL(`/api/${path}`, origin);
    const name = more.name ?? url.pathname.split("/")[2];
    const call = http({ name, metaUrl: bundle.metaUrl });
    return call(new Request(url, { duplex: "half", ...init }), { ...context, ...more.context });
  };
}

/** Collect what is written to the console meanwhile. */
export async function listening(work) {
  const said = [];
  const names = ["log", "info", "warn", "error", "debug"];
  const kept = names.map((name) => console[name]);
  for (const name of names) console[name] = (...args) => said.push([name, args.map(String).join(" ")]);
  try {
    await work();
  } finally {
    names.forEach((name, index) => (console[name] = kept[index]));
  }
  return said;
}

