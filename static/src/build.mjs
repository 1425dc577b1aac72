// Builds static/dist from static/src: each top file of js/ and css/ becomes one file of the same name; libraries are copied whole.
import { copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const source = dirname(fileURLToPath(import.meta.url));
const root = join(source, "..", "..");
const dist = join(root, "static", "dist");

const LIBRARIES = {
  "bootstrap.js": "bootstrap/dist/js/bootstrap.bundle.min.js",
  "htmx.js": "htmx.org/dist/htmx.min.js",
  "plotly.js": "plotly.js-basic-dist-min/plotly-basic.min.js",
};

async function entries(folder, ending) {
  const names = await readdir(join(source, folder));
  return names.filter((name) => name.endsWith(ending)).sort().map((name) => join(source, folder, name));
}

async function bundle(entryPoints, options) {
  await build({
    entryPoints,
    outdir: dist,
    bundle: true,
    minify: true,
    sourcemap: false,
    legalComments: "linked",
    logLevel: "warning",
    target: ["chrome109", "firefox115", "safari16.4"],
    absWorkingDir: root,
    ...options,
  });
}

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
const scripts = await entries("js", ".js");
const isTheme = (path) => path.endsWith("theme.js"); // runs in <head> before the first paint, so no module
await bundle(scripts.filter((path) => !isTheme(path)), { format: "esm" });
await bundle(scripts.filter(isTheme), { format: "iife" });
await bundle(await entries("css", ".css"), { loader: { ".svg": "dataurl" } });
await copyFile(join(source, "icon.svg"), join(dist, "icon.svg"));
for (const [name, path] of Object.entries(LIBRARIES)) await copyFile(join(root, "node_modules", path), join(dist, name));
