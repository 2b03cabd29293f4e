/** Builds the element and the demo page: node build.mjs TARGET PACKAGES. The pages hold the hash that a site pins the element to. */

import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [target, packages] = process.argv.slice(2);
if (!target || !packages) throw new Error("usage: node build.mjs TARGET PACKAGES");
const here = dirname(fileURLToPath(import.meta.url));
const { build, transform } = (await import(pathToFileURL(join(packages, "esbuild", "lib", "main.js")).href)).default;

const sheets = {
  name: "sheets as text, minified",
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, "utf8"), { loader: "css", minify: true });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

rmSync(target, { recursive: true, force: true });
const options = { bundle: true, minify: true, format: "esm", target: "es2022", charset: "utf8", legalComments: "none" };
const entryPoints = ["src/switchboard-chat.ts", "demo/demo.ts", "demo/embed.ts"].map((file) => join(here, file));
await build({ ...options, entryPoints, entryNames: "[name]", outdir: target, plugins: [sheets] });

const chat = readFileSync(join(target, "switchboard-chat.js"));
const integrity = `sha384-${createHash("sha384").update(chat).digest("base64")}`;
for (const page of ["index.html", "embed.html"]) {
  const text = readFileSync(join(here, "demo", page), "utf8");
  writeFileSync(join(target, page), text.replaceAll("{{integrity}}", integrity));
}
for (const file of ["demo.css", "icon.svg"]) copyFileSync(join(here, "demo", file), join(target, file));
