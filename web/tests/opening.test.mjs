// What is shown, and what can be annotated, while cases and channels arrive slowly, late, or not at all.
import assert from "node:assert/strict";
import { test } from "node:test";
import { click, hold, readMarkups, refuse, saved, screenOf, shown, useServer } from "./harness.mjs";

const MIDDLE = [24, 22, 15];
const site = useServer("channels");
const { inPage } = site;

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
    assert.deepEqual(Object.keys(await readMarkups(site.server, ".drafts", "undo", "ball.mrk.json")), ["inside"]);
    coarse.go();
    await shown(page, "undo");
  });
});

test("the channel that was asked for last is shown, however late others come; what is wrong with one is said", async () => {
  await inPage("paint", async (page) => {
    const isShown = () => [voxseed.channel, document.querySelector("#channel").value, voxseed.stage.window[1] > 50];
    const second = await hold(page, "**/cases/paint/channels/1*");
    await page.selectOption("#channel", "1");
    await second.asked;
    const first = page.waitForResponse("**/cases/paint/channels/0*");
    await page.selectOption("#channel", "0");
    await first;
    second.go();
    await page.waitForTimeout(500);
    assert.deepEqual(await page.evaluate(isShown), [0, "0", true]);

    const mended = await refuse(page, "GET", "**/cases/paint/channels/1*", 422, "T2: cannot be read.");
    await page.selectOption("#channel", "1");
    await page.waitForFunction(() => /T2: cannot be read/.test(document.querySelector("#guide").textContent));
    assert.deepEqual(await page.evaluate(isShown), [0, "0", true]);
    await mended();
    await page.evaluate(() => voxseed.stage.goTo([3, 4, 5]));
    await page.selectOption("#channel", "1");
    await page.waitForFunction(() => voxseed.channel === 1);
    assert.deepEqual(await page.evaluate(() => voxseed.stage.cursor), [3, 4, 5]);
    assert.deepEqual(await page.evaluate(isShown), [1, "1", false]);
  });
});

test("another channel can be chosen while the first one of a case does not come", async () => {
  await inPage("look", async (page) => {
    const first = await hold(page, "**/cases/lost/channels/0*");
    await begin(page, "lost");
    await first.asked;
    await page.waitForFunction(() => voxseed.session !== null);
    await page.selectOption("#channel", "1");
    await page.waitForFunction(() => voxseed.channel === 1 && voxseed.session.isShown);
    await shown(page, "lost");
    first.go();
  });
});

test("a case that is not wanted any more is let go, and not downloaded", async () => {
  await inPage("box", async (page) => {
    const asked = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    const cancelled = page.waitForEvent("requestfailed", (request) => request.url().includes("/cases/undo/channels/0"));
    const channel = await hold(page, "**/cases/undo/channels/0");
    await begin(page, "undo");
    await channel.asked;
    const claim = await hold(page, "**/cases/keyboard/claim");
    await begin(page, "keyboard");
    await claim.asked;
    await cancelled;
    const left = page.waitForRequest("**/cases/keyboard/release");
    await page.evaluate(() => voxseed.open("tabs"));
    claim.go();
    channel.go();
    await left;
    assert.ok(asked.includes("/api/cases/undo/release"));
    assert.ok(!asked.some((path) => path.startsWith("/api/cases/keyboard/channels")));
    await shown(page, "tabs");
  });
});
