// Which functions the site has: the engine's own, the workloads, and plain HTTP functions.

import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

export const PREFIX = "/.netlify/functions/";
export const ROUTER = "async-workloads-router";
export const SCHEDULER = "async-workloads-scheduler";

// as seen in a build's output; older notes have it in the plural, so that is served as well
const MANAGEMENT = "async-workload-api-workloads";

/** Names of the functions the extension adds to a site, and the package's part each runs. */
const ENGINE = {
  [ROUTER]: "router",
  [SCHEDULER]: "scheduler",
  "async-workloads-pending-processor": "processors/pending",
  "async-workloads-processing-processor": "processors/processing",
  "async-workloads-delayed-processor": "processors/delayed",
  "async-workloads-hibernating-processor": "processors/hibernating",
  "async-workloads-dead-lettered-processor": "processors/dead-lettered",
  "async-workloads-api": "api",
  [MANAGEMENT]: "api-workloads",
  "async-workloads-api-workloads": "api-workloads",
};

/** The workload behind the management API; the extension tells the router of it, as of others. */
const management = {
  config: { events: ["awl:delete-events", "awl:retry-failed-events"] },
  workloadMapping: { fnPath: "", fnName: MANAGEMENT, urlPath: PREFIX + MANAGEMENT },
};

/** Find the functions of a folder as the extension does: by their text, in flat .mjs files. */
export async function findFunctions(folder) {
  const found = [];
  const entries = await readdir(folder, { withFileTypes: true });
  for (const { name: file } of entries.filter((each) => each.isFile())) {
    if (!file.endsWith(".mjs")) continue;
    const path = join(folder, file);
    const text = await readFile(path, "utf8");
    const name = basename(file, ".mjs");
    const isWorkload = /export\sconst\sasyncWorkloadConfig/.test(text);
    // every workload is imported by the router and the others: nothing may start at import
    const module = await import(pathToFileURL(path).href);
    if (typeof module.default !== "function") continue;
    found.push({ name, path, isWorkload, handler: module.default, module });
  }
  return found.sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** Return the engine's functions for these workloads. Imported late: it reads its keys once. */
export async function engineFunctions(workloads) {
  const configs = [
    ...workloads.map(({ name, path, module }) => ({
      config: module.asyncWorkloadConfig,
      workloadMapping: { fnPath: path, fnName: name, urlPath: PREFIX + name },
    })),
    management,
  ];
  globalThis.asyncWorkloadConfigs = configs;
  globalThis._selfContext = "production";
  globalThis._selfOrigin = process.env.URL;
  globalThis._reactiveScheduling = false; // the rig's own tick is the only scheduler
  const made = [];
  for (const [name, part] of Object.entries(ENGINE)) {
    const { run } = await import(`@netlify/async-workloads/_internal/${part}.js`);
    const handler = (request, context) => run(request, context, configs);
    made.push({ name, isEngine: true, handler });
  }
  return made;
}

/** Return the function that serves a path, with the parameters of its own `config.path`. */
export function findFunction(functions, pathname) {
  for (const each of functions) {
    const own = [each.module?.config?.path ?? []].flat();
    for (const pattern of own) {
      const match = toRegExp(pattern).exec(pathname);
      if (match) return [each, { ...match.groups }];
    }
    // a function with a path of its own is not at the default address
    const [name] = pathname.startsWith(PREFIX) ? pathname.slice(PREFIX.length).split("/") : [];
    if (own.length === 0 && each.name === name) return [each, {}];
  }
  return [null, {}];
}

/** `/runs/:id` and `/files/*`, which is all of the pattern language we need. */
function toRegExp(pattern) {
  const source = pattern
    .replace(/[.+?^${}()|[\]\\]/g, "\\$&")
    .replace(/:(\w+)/g, "(?<$1>[^/]+)")
    .replace(/\*/g, ".*");
  return new RegExp(`^${source}$`);
}
