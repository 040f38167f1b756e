// Zips functions as Netlify's build does: node zip.mjs <functions> <to> <root>; prints what came of it.
import { zipFunctions } from "@netlify/zip-it-and-ship-it";

const [functions, to, root] = process.argv.slice(2);
const zipped = await zipFunctions([functions], to, { basePath: root, archiveFormat: "zip" });
console.log(JSON.stringify(zipped));
