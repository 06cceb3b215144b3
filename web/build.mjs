// Builds the page into the folder given as the only argument: page.js, solid.js, page.css, index.html, licences.txt.
import { build } from "esbuild";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.resolve(process.argv[2] ?? path.join(here, "..", "src", "voxseed", "server", "page"));

const options = {
  absWorkingDir: here,
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none", // all licences are in licences.txt
  metafile: true,
  logLevel: "warning",
};
// Two files and no more: what the view in 3D consists of is loaded when it is needed.
const built = await Promise.all([
  build({ ...options, entryPoints: { page: "src/main.ts" }, external: ["./solid.js"] }),
  build({ ...options, entryPoints: { solid: "src/solid.ts" } }),
]);
await mkdir(out, { recursive: true });
await copyFile(path.join(here, "src", "index.html"), path.join(out, "index.html"));
await copyFile(path.join(here, "src", "page.css"), path.join(out, "page.css"));
await writeFile(path.join(out, "licences.txt"), await licences(built.flatMap(({ metafile }) => Object.keys(metafile.inputs))));

/** The licence of every package that is part of the page, and of those that these packages were built from. */
async function licences(inputs) {
  const packages = new Set(inputs.map((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1]).filter(Boolean));
  for (const name of [...packages]) {
    const { dependencies } = JSON.parse(await readFile(path.join(here, "node_modules", name, "package.json"), "utf8"));
    Object.keys(dependencies ?? {}).forEach((other) => packages.add(other));
  }
  const parts = [];
  for (const name of [...packages].sort()) {
    const folder = path.join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file === undefined ? "" : await readFile(path.join(folder, file), "utf8");
    parts.push(`${name} ${version}, ${license ?? "see below"}\n\n${text.trim()}\n`);
  }
  return `The annotation page of Voxseed contains these packages.\n\n${parts.join("\n" + "-".repeat(80) + "\n\n")}`;
}
