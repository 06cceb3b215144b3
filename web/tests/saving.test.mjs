// What is not saved is said, kept and sent again; what cannot be saved is not shown.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BALL, click, drag, openCase, readMarkups, refuse, saved, useServer } from "./harness.mjs";

const site = useServer();
const { inPage } = site;

const said = (page, selector, pattern) =>
  page.waitForFunction(([where, what]) => new RegExp(what).test(document.querySelector(where).textContent), [selector, pattern]);

test("a full disk is said, and what did not fit is saved when it does", async () => {
  await inPage("clicks", async (page) => {
    const freed = await refuse(page, "PUT", "**/objects", 507, "cube.mrk.json: the disk is full; free some space.");
    await click(page, ...BALL.inside);
    await said(page, "#saved", "1 not saved. cube.mrk.json: the disk is full; free some space. Trying again.");
    await click(page, ...BALL.left);
    await freed();
    await saved(page);
    await said(page, "#saved", "All saved");
    assert.deepEqual(Object.keys(await readMarkups(site.server, ".drafts", "clicks", "ball.mrk.json")), ["inside", "left"]);
  });
});

test("what is refused is not shown as if it were saved", async () => {
  await inPage("undo", async (page) => {
    await click(page, ...BALL.inside);
    await saved(page);
    const points = await refuse(page, "PUT", "**/objects", 422, "No such point.");
    await click(page, ...BALL.left);
    await said(page, "#guide", "No such point.");
    await page.waitForFunction(() => voxseed.session.current.points.length === 1);
    await points();
    const strokes = await refuse(page, "PATCH", "**/painted", 422, "No such slice.");
    await page.keyboard.press("b");
    await drag(page, 2, [20, 18, 14], [28, 18, 14]);
    await said(page, "#guide", "No such slice.");
    await page.waitForFunction(() => voxseed.session.labels.values.every((value) => value === 255));
    await strokes();
    await page.keyboard.press("p");
    await click(page, ...BALL.left);
    await saved(page);
    assert.deepEqual(Object.keys(await readMarkups(site.server, ".drafts", "undo", "ball.mrk.json")), ["inside", "left"]);
  });
});

/** A page that cannot save what is placed on a case, and ends without saying that it leaves. */
async function lose(name) {
  const page = await openCase(site.context, site.server, name);
  await page.evaluate(() => {
    const real = globalThis.fetch;
    const isLost = (address) => /objects|release/.test(address);
    globalThis.fetch = (address, ...more) => (isLost(address) ? Promise.reject(new TypeError("lost")) : real(address, ...more));
  });
  await click(page, ...BALL.inside);
  await said(page, "#saved", "1 not saved");
  await page.close({ runBeforeUnload: false });
}

const kept = (page) => page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("voxseed-unsaved")));

test("what ended pages could not save is kept until the case is free or taken over", async () => {
  await lose("paint");
  await lose("box");
  await inPage("look", async (page) => {
    await said(page, "#saved", "1 change of another page not saved yet: Case (box|paint) is open in another tab");
    const keys = await kept(page);
    assert.equal(keys.length, 2);

    await page.evaluate(() => void voxseed.open("paint"));
    await page.click("#take-over");
    await page.waitForFunction(() => voxseed.session?.current?.points.length === 1);
    assert.deepEqual(Object.keys(await readMarkups(site.server, ".drafts", "paint", "ball.mrk.json")), ["inside"]);
    assert.equal((await kept(page)).length, 1);

    for (const key of keys) { // as when the silence of the ended page has been long enough
      await page.evaluate((id) => fetch("/api/cases/box/release", {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ client: id }),
      }), key.split("-").at(-1));
    }
    await page.waitForFunction(() => voxseed.lostProblem === "");
    await said(page, "#saved", "All saved");
    assert.deepEqual(await kept(page), []);
    assert.deepEqual(Object.keys(await readMarkups(site.server, ".drafts", "box", "ball.mrk.json")), ["inside"]);
  });
});
