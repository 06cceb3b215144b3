// How long a person waits: node timing.mjs DATASET RADIUS prints seconds as JSON.
import { screenOf, shown, startBrowser, startServer } from "./harness.mjs";

const [root, radius] = [process.argv[2], Number(process.argv[3])];
const REPEATS = 5;
const MARGIN = 16;
const browser = await startBrowser();

async function seconds(body) {
  const start = performance.now();
  await body();
  return (performance.now() - start) / 1000;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const found = {};

/** A server that has read nothing yet, and a new tab. */
async function opened() {
  const server = await startServer(root);
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.setDefaultTimeout(120_000);
  const start = performance.now();
  const since = () => (performance.now() - start) / 1000;
  await page.goto(server.address);
  await drawn(page);
  const first = since();
  await shown(page, "first");
  return { server, page, first, whole: since() };
}

const openings = [];
for (let turn = 0; turn < REPEATS; turn += 1) {
  openings.push(await opened());
  if (turn < REPEATS - 1) {
    await openings[turn].page.close();
    await openings[turn].server.stop("SIGINT");
  }
}
const { server, page } = openings.at(-1);
found["from the address to the first slice"] = median(openings.map(({ first }) => first));
found["from the address to a volume that is complete"] = median(openings.map(({ whole }) => whole));
const size = await page.evaluate(() => voxseed.session.grid.shape);
const middle = size.map((each) => Math.floor(each / 2));
const at = (axis, by) => middle.map((each, index) => each + (index === axis ? by : 0));
const reach = radius + MARGIN - 1;
const clicks = [[2, middle]];
for (const [axis, view] of [[0, 2], [1, 2], [2, 1]]) for (const sign of [-1, 1]) clicks.push([view, at(axis, sign * reach)]);
for (const [axis, voxel] of clicks) await page.mouse.click(...(await screenOf(page, axis, voxel)));
await page.waitForFunction(() => [...voxseed.session.growths.values()].some((each) => each.exact));

/** The middle of the axial view is no longer black. */
function drawn(page) {
  return page.waitForFunction(() => {
    const tile = globalThis.voxseed?.stage?.slices?.tiles().find((each) => each.axis === 2);
    if (tile === undefined) return false;
    const context = document.querySelector("#slices").getContext("2d");
    const { data } = context.getImageData(tile.left + tile.width / 2, tile.top + tile.height / 2, 1, 1);
    return data[0] > 0;
  });
}

/** Moves the inside point by a voxel, so that nothing that is known already helps. */
async function again(turn, isThere) {
  await page.evaluate(
    ([to]) => {
      const { session } = voxseed;
      const before = session.objects[0];
      session.growths.clear();
      session.drop(before, session.drag(before, 0, to));
    },
    [[middle[0] + turn, middle[1], middle[2]]],
  );
  await page.waitForFunction(isThere);
}
const coarse = [], exact = [];
for (let turn = 0; turn < REPEATS; turn += 1) {
  coarse.push(await seconds(() => again(2 * turn + 1, () => voxseed.session.growths.size > 0)));
  await page.waitForFunction(() => [...voxseed.session.growths.values()].some((each) => each.exact));
  exact.push(await seconds(() => again(2 * turn + 2, () => [...voxseed.session.growths.values()].some((each) => each.exact))));
}
found[`growth in a box of ${2 * reach + 1} voxels along each axis, first overlay`] = median(coarse);
found["the same, exact"] = median(exact);
console.log(JSON.stringify(found));
await browser.close();
await server.stop("SIGINT");
