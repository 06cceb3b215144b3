// What is shown, and what can be annotated, while cases and channels arrive slowly, late, or not at all.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { click, hold, makeFolder, openCase, readMarkups, saved, screenOf, shown, startBrowser, startServer } from "./harness.mjs";

const MIDDLE = [24, 22, 15];
let folder, server, browser, context;

before(async () => {
  folder = await makeFolder();
  [server, browser] = [await startServer(folder.root, 0, "channels"), await startBrowser()];
  context = await browser.newContext();
});

after(async () => {
  await browser?.close();
  await server?.stop("SIGINT");
  await folder?.remove();
});

async function inPage(name, body, in3D = false) {
  const page = await openCase(context, server, name, in3D);
  await body(page);
  assert.deepEqual(page.problems, []);
  await page.close();
}

/** Begin to open a case, without waiting for it. */
const begin = (page, name) => page.evaluate((each) => void voxseed.open(each), name);

test("nothing can be annotated until slices of the case itself are shown", async () => {
  await inPage("clicks", async (page) => {
    const place = await screenOf(page, 2, MIDDLE);
    const channel = await hold(page, "**/cases/undo/channels/0");
    await begin(page, "undo");
    await channel.asked;
    await page.waitForFunction(() => voxseed.session?.info.name === "undo");
    assert.equal(await screenOf(page, 2, MIDDLE), null);
    for (const mode of ["p", "b", "r"]) {
      await page.keyboard.press(mode);
      await page.mouse.click(...place);
      await page.mouse.down();
      await page.mouse.move(place[0] + 20, place[1] + 20);
      await page.mouse.up();
      for (const key of ["Enter", "m"]) await page.keyboard.press(key);
    }
    assert.equal(await page.evaluate(() => voxseed.queue.unsaved), 0);
    const nothing = () => [voxseed.session.objects.length, voxseed.session.labels.values.every((value) => value === 255)];
    assert.deepEqual(await page.evaluate(nothing), [0, true]);
    assert.ok(!(await page.isVisible("#solid")));

    const coarse = await hold(page, "**/cases/undo/channels/0?coarse=true"); // slices can be used before all is there
    channel.go();
    await page.waitForFunction(() => voxseed.session.isShown);
    await page.keyboard.press("p");
    await click(page, 2, MIDDLE);
    await saved(page);
    assert.deepEqual(Object.keys(await readMarkups(server, ".drafts", "undo", "ball.mrk.json")), ["inside"]);
    coarse.go();
    await shown(page, "undo");
  });
});
