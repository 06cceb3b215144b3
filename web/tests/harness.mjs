// A server, a browser, and a page on an open case.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = path.dirname(fileURLToPath(import.meta.url));
const FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"];
export const PATIENCE_MS = 60_000;

async function makeFolder() {
  const folder = await mkdtemp(path.join(os.tmpdir(), "voxseed-page-"));
  return { root: path.join(folder, "data"), remove: () => rm(folder, { recursive: true }) };
}

export async function startServer(root, port = 0, what = "annotate") {
  const python = process.env.VOXSEED_PYTHON ?? "python3";
  const child = spawn(python, [path.join(here, "serve.py"), root, String(port), what], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const facts = JSON.parse((await lines.next()).value);
  const address = await printedAddress(lines);
  const ended = new Promise((done) => child.once("exit", done));
  const stop = (signal) => {
    child.kill(signal);
    return ended;
  };
  return { ...facts, address, port: Number(new URL(address).port), stop };
}

async function printedAddress(lines) {
  for (;;) {
    const { value, done } = await lines.next();
    if (done) throw new Error("the server ended before it said where it is");
    const found = /Open (\S+)/.exec(value);
    if (found !== null) return found[1];
  }
}

/** One server and one browser for all tests of a file; `inPage` gives a test a page of its own, free of problems in the end. */
export function useServer(what = "annotate", ready = async () => undefined) {
  const site = {};
  let folder, browser;
  before(async () => {
    folder = await makeFolder();
    site.root = folder.root;
    [site.server, browser] = [await startServer(folder.root, 0, what), await startBrowser()];
    site.context = await browser.newContext();
  });
  after(async () => {
    await browser?.close();
    await site.server?.stop("SIGINT");
    await folder?.remove();
  });
  site.inPage = async (name, body, in3D = false) => {
    const page = await openCase(site.context, site.server, name, in3D);
    try {
      await ready(page);
      await body(page);
      assert.deepEqual(page.problems, []);
    } finally {
      await page.close();
    }
  };
  return site;
}

export function startBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
}

/** A new tab on a case; whatever the page says on the console as an error, or asks of another server, is collected. */
export async function openCase(context, server, name, in3D = false) {
  const page = await context.newPage();
  await page.addInitScript((value) => localStorage.setItem("voxseed-3d", value), in3D ? "on" : "off");
  page.setDefaultTimeout(PATIENCE_MS);
  await page.setViewportSize({ width: 1100, height: 700 });
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(error.message));
  // The browser logs every refusal; these are told to the user, and looked for there.
  const isProblem = (message) => message.type() === "error" && !/status of (409|422|507)/.test(message.text());
  page.on("console", (message) => isProblem(message) && page.problems.push(message.text()));
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "data:" && protocol !== "blob:" && origin !== new URL(server.address).origin) page.problems.push(request.url());
  });
  await page.goto(server.address);
  await show(page, name);
  return page;
}

export async function show(page, name) {
  await page.waitForFunction(() => globalThis.voxseed?.cases.length > 0 && document.querySelector("#loading").hidden);
  await page.evaluate((each) => voxseed.open(each), name);
  await shown(page, name);
}

export async function shown(page, name) {
  await page.waitForFunction(
    (each) => globalThis.voxseed?.session?.info.name === each && document.querySelector("#loading").hidden,
    name,
  );
}

export async function saved(page) {
  await page.waitForFunction(() => voxseed.queue.unsaved === 0);
}

/** Requests for a pattern wait until they may go on; `asked` resolves when the first one waits. */
export async function hold(page, pattern) {
  let [go, ask] = [];
  const [free, asked] = [new Promise((done) => (go = done)), new Promise((done) => (ask = done))];
  await page.route(pattern, async (route) => {
    ask();
    await free;
    await route.continue().catch(() => undefined); // the page may not want it any more
  });
  return { asked, go };
}

/** Requests of a method for a pattern are answered with a sentence, until the function that is returned is called. */
export async function refuse(page, method, pattern, status, sentence) {
  const answer = (route) =>
    route.request().method() === method ? route.fulfill({ status, json: { detail: sentence } }) : route.fallback();
  await page.route(pattern, answer);
  return () => page.unroute(pattern, answer);
}

/** Click where a voxel is drawn in a view: 2 axial, 1 coronal, 0 sagittal. */
export async function click(page, axis, voxel) {
  await page.mouse.click(...(await screenOf(page, axis, voxel)));
}

export async function drag(page, axis, from, to) {
  await page.mouse.move(...(await screenOf(page, axis, from)));
  await page.mouse.down();
  await page.mouse.move(...(await screenOf(page, axis, to)), { steps: 6 });
  await page.mouse.up();
}

export async function screenOf(page, axis, voxel) {
  return page.evaluate(([a, v]) => voxseed.stage.screenOf(a, v), [axis, voxel]);
}

/** The points of a file as Slicer's format says, read without Voxseed: label to RAS mm. */
export async function readMarkups(server, ...names) {
  const content = JSON.parse(await readFile(path.join(server.root, "annotations", "page", ...names), "utf8"));
  const [node] = content.markups;
  const sign = { LPS: [-1, -1, 1], RAS: [1, 1, 1] }[node.coordinateSystem];
  return Object.fromEntries(node.controlPoints.map((point) => [point.label, point.position.map((value, axis) => sign[axis] * value)]));
}

/** Of the server's ball, in canonical order: the middle, and beyond each edge. */
const [I, J, K] = [25, 18, 14];
export const BALL = {
  inside: [2, [I, J, K]],
  left: [2, [I - 15, J, K]],
  right: [2, [I + 15, J, K]],
  posterior: [2, [I, J - 12, K]],
  anterior: [2, [I, J + 12, K]],
  inferior: [1, [I, J, K - 10]],
  superior: [1, [I, J, K + 10]],
};

export async function sevenClicks(page) {
  for (const [axis, voxel] of Object.values(BALL)) await click(page, axis, voxel);
  await saved(page);
}
