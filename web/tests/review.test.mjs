// A review: predictions of balls that a model got more or less right, made by serve.py without a network.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { test } from "node:test";
import { BALL, click, drag, hold, readMarkups, saved, screenOf, show, shown, useServer } from "./harness.mjs";

const WORST_FIRST = ["clicks", "undo", "paint", "keyboard", "box", "tabs", "lost"];
const predictionShown = (page) =>
  page.waitForFunction(() => voxseed.review.shown !== null || voxseed.review.find(voxseed.session.info.name).prediction === "");
const site = useServer("review", predictionShown);
const { inPage } = site;

const text = (page, selector) => page.textContent(selector);
const names = (page) => page.locator("#cases .name").allTextContents();
const verdicts = async () => JSON.parse(await readFile(path.join(site.server.predictions, "verdicts.json"), "utf8")).verdicts;

/** Red, green, blue, alpha that are drawn at a place of the axial view. */
async function drawn(page, voxel) {
  const [x, y] = await screenOf(page, 2, voxel);
  return page.evaluate(async ([x, y]) => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const canvas = document.querySelector("#overlay");
    const { left, top } = canvas.getBoundingClientRect();
    return [...canvas.getContext("2d").getImageData(x - left, y - top, 1, 1).data];
  }, [x, y]);
}

test("the worst comes first, what is not predicted last, with a reason", async () => {
  await inPage("clicks", async (page) => {
    const listed = await names(page);
    assert.deepEqual(listed.slice(0, WORST_FIRST.length), WORST_FIRST);
    assert.equal(await text(page, "#cases li:first-child .estimate"), "0.30");
    assert.match(await text(page, "#guide"), /Expected Dice 0.30, the lowest of 7/);
    assert.match(await text(page, "#estimates"), /ball0.40cyst0.20/);
    assert.match(await text(page, "#doubts"), /ball: 3 parts, training cases had at most 1/);
    assert.match(await text(page, "#predicting-problem"), /look: cannot be predicted/);
    await show(page, listed[listed.length - 1]);
    assert.match(await text(page, "#guide"), /Not predicted/);
    assert.ok(await page.isDisabled("#accept"));
  });
});

test("outline, filled, uncertainty, off; where opinions differ most", async () => {
  await inPage("clicks", async (page) => {
    const [i, j, k] = BALL.inside[1];
    assert.equal(await page.evaluate(() => voxseed.stage.cursor[2]), k + 3); // the slice that is most uncertain
    await page.evaluate((voxel) => voxseed.stage.goTo(voxel), [i, j, k]);
    const inside = [i + 3, j + 3, k];
    assert.equal((await drawn(page, inside))[3], 0);
    const edge = [i + 8.5, j + 3, k]; // between the last voxel of the prediction and the first beyond it
    const [red, green, blue, alpha] = await drawn(page, edge);
    assert.ok(alpha > 200 && red > 150 && green > 90 && blue < 60, `${[red, green, blue, alpha]}`);
    await page.keyboard.press("w");
    assert.ok((await drawn(page, inside))[3] > 80);
    await page.keyboard.press("q");
    assert.equal((await drawn(page, inside))[3], 0);
    assert.equal((await drawn(page, edge))[3], 0);
    await page.keyboard.press("u");
    await page.keyboard.press("h");
    assert.ok((await drawn(page, [i + 3, j + 3, k + 3]))[3] > 100);
    await page.keyboard.press("q");
    await page.waitForFunction(() => voxseed.stage.solid?.overlay?.img.includes(1));
  }, true);
});

test("the first slices that are shown are the most doubted ones, and stay", async () => {
  await inPage("clicks", async (page) => {
    const open = (name) => page.evaluate((each) => void voxseed.open(each), name);
    const slice = () => page.evaluate(() => voxseed.stage.cursor[2]);
    const [, , k] = BALL.inside[1];
    const coarse = await hold(page, "**/channels/0?coarse=true"); // not all is there
    await open("undo");
    await page.waitForFunction((doubted) => voxseed.session?.isShown && voxseed.stage.cursor[2] === doubted, k + 3);
    const [level, low, high] = await page.evaluate(() => [Number(document.querySelector("#level").value), ...voxseed.stage.window]);
    assert.ok(Math.abs(level - (low + high) / 2) < 0.01 * (high - low), `${level}`);
    await page.keyboard.press("PageUp");
    coarse.go();
    await shown(page, "undo");
    assert.equal(await slice(), k + 4);

    const late = await hold(page, "**/cases/paint/prediction*");
    await open("paint");
    await page.waitForFunction(() => voxseed.session?.isShown);
    await page.evaluate(() => voxseed.stage.goTo([20, 20, 5]));
    late.go();
    await shown(page, "paint");
    assert.equal(await slice(), 5);
  });
});

test("accept, flag, take back; a reload finds it again", async () => {
  await inPage("undo", async (page) => {
    await page.click("#accept");
    await page.waitForFunction(() => voxseed.review.find("undo").verdict === "accepted");
    assert.match(await text(page, "#guide"), /accepted/);
    await show(page, "paint");
    await page.click("#flag");
    await page.waitForFunction(() => voxseed.review.find("paint").verdict === "flagged");
    await saved(page);
    const said = await verdicts();
    assert.deepEqual([said.undo.verdict, said.paint.verdict], ["accepted", "flagged"]);

    await page.reload();
    await shown(page, "paint");
    assert.equal(await page.getAttribute("#flag", "aria-pressed"), "true");
    assert.match(await text(page, "#cases li:nth-child(2) .hidden"), /accepted/);
    assert.match(await text(page, "#progress"), /1 accepted, 1 flagged, 5 to review/);
    await page.click("#flag");
    await page.waitForFunction(() => voxseed.review.find("paint").verdict === "undecided");
    await saved(page);
    assert.deepEqual(Object.keys(await verdicts()), ["undo"]);
  });
});

test("a verdict that comes with the list is said", async () => {
  await inPage("paint", async (page) => {
    for (const [verdict, said] of [["flagged", /is flagged/], ["undecided", /Expected Dice/]]) {
      await page.evaluate(async (each) => {
        const { session, review, queue } = voxseed;
        await queue.add("PUT", `${session.path}/verdict`, { verdict: each, prediction: review.shown.prediction });
        await voxseed.refreshCases();
      }, verdict);
      assert.match(await text(page, "#guide"), said);
    }
  });
});

test("a stroke and points correct a prediction; the rest stays unannotated", async () => {
  await inPage("keyboard", async (page) => {
    const [i, j, k] = BALL.inside[1];
    await click(page, 2, [i, j, k]); // looking around places nothing
    assert.equal(await page.evaluate(() => voxseed.session.objects.length), 0);
    await page.click("[data-mode=paint]");
    await page.evaluate((voxel) => voxseed.stage.goTo(voxel), [i, j, k]);
    await drag(page, 2, [i - 3, j, k], [i + 3, j, k]);
    await page.click("[data-mode=points]");
    await page.evaluate((voxel) => voxseed.stage.goTo(voxel), [i, j, k]);
    await click(page, ...BALL.inside);
    await saved(page);
    const [painted, all] = await page.evaluate(() => [voxseed.session.labels.values.filter((v) => v === 1).length, voxseed.session.labels.values.length]);
    assert.ok(painted > 20);
    assert.equal(await page.evaluate(() => voxseed.session.labels.values.filter((v) => v === 255).length), all - painted);
    assert.deepEqual(Object.keys(await readMarkups(site.server, ".drafts", "keyboard", "ball.mrk.json")), ["inside"]);
    assert.match(await text(page, "#cases [aria-current] .hidden"), /annotated/);

    await page.reload();
    await shown(page, "keyboard");
    assert.equal(await page.evaluate(() => voxseed.session.labels.values.filter((v) => v === 1).length), painted);
  });
});

test("a slice that is right becomes annotated as predicted", async () => {
  await inPage("box", async (page) => {
    const [i, j, k] = BALL.inside[1];
    await page.keyboard.press("b");
    await page.evaluate((voxel) => voxseed.stage.goTo(voxel), [i, j, k]);
    await page.keyboard.press("s");
    await saved(page);
    const found = await page.evaluate((slice) => {
      const [painted, predicted] = [voxseed.session.labels, voxseed.review.shown.labels];
      const same = painted.slice(2, slice).every((value, at) => value === predicted.slice(2, slice)[at]);
      return [same, painted.slice(2, slice).includes(1), painted.slice(2, slice + 1).every((value) => value === 255)];
    }, k);
    assert.deepEqual(found, [true, true, true]);
  });
});

test("everything by keyboard: accept, next, flag, annotate the proposed case", async () => {
  await inPage("tabs", async (page) => {
    await page.focus("#stage");
    await page.keyboard.press("a");
    await page.waitForFunction(() => voxseed.review.find("tabs").verdict === "accepted");
    await page.keyboard.press("n");
    await shown(page, "lost");
    await page.waitForFunction(() => voxseed.review.shown !== null);
    await page.keyboard.press("x");
    await page.waitForFunction(() => voxseed.review.find("lost").verdict === "flagged");
    await page.keyboard.press("g");
    await page.waitForFunction(() => voxseed.stage.mode === "points");
    const proposed = await page.evaluate(() => voxseed.session.info.name);
    assert.match(await text(page, "#guide"), new RegExp(`^${proposed}: `));
    assert.equal(await page.evaluate((name) => voxseed.review.find(name).state, proposed), "unannotated");
    await page.keyboard.press("Enter");
    await saved(page);
    assert.deepEqual(Object.keys(await readMarkups(site.server, ".drafts", proposed, "ball.mrk.json")), ["inside"]);
    await page.keyboard.press("v");
    await page.keyboard.press("?");
    assert.match(await text(page, "#keys"), /annotate next/);
    await page.keyboard.press("Escape");
  });
});

test("axe-core finds nothing serious in a review", async () => {
  const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
  await inPage("clicks", async (page) => {
    await page.evaluate(await readFile(axe, "utf8"));
    for (const key of ["v", "b", "p"]) {
      await page.keyboard.press(key);
      const found = await page.evaluate(async () => (await axe.run()).violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map((node) => node.html) })));
      assert.deepEqual(found.filter(({ impact }) => impact === "serious" || impact === "critical"), []);
    }
  });
});
