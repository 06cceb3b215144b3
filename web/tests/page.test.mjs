import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { test } from "node:test";
import {
  BALL, click, drag, openCase, readMarkups, saved, screenOf, sevenClicks, show, shown, startServer, useServer,
} from "./harness.mjs";

const ROLES = ["inside", "left", "right", "posterior", "anterior", "inferior", "superior"];
const site = useServer();
const { inPage } = site;

const grown = (page) => page.waitForFunction(() => voxseed.session.growths.size > 0);
const guide = (page) => page.textContent("#guide");
const text = (page, selector) => page.textContent(selector);

/** Share of a circle around the ball's middle, in the axial view, that the overlay covers. */
async function covered(page) {
  const [x, y] = await screenOf(page, 2, BALL.inside[1]);
  return page.evaluate(async ([x, y]) => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const canvas = document.querySelector("#overlay");
    const { left, top } = canvas.getBoundingClientRect();
    const { data } = canvas.getContext("2d").getImageData(x - left - 22, y - top + 14, 44, 10);
    return data.filter((_, at) => at % 4 === 3 && data[at] > 30).length / (data.length / 4);
  }, [x, y]);
}

test("seven clicks, growth, and everything is there after a reload", async () => {
  await inPage("clicks", async (page) => {
    for (const [number, role] of ROLES.entries()) {
      assert.match(await guide(page), new RegExp(`ball: Point ${number + 1} of 7`));
      await click(page, ...BALL[role]);
    }
    assert.match(await guide(page), /all seven points are set/);
    await grown(page);
    assert.ok((await covered(page)) > 0.9);
    assert.equal(await page.locator("#warnings li").count(), 0);
    await saved(page);
    const file = await readMarkups(site.server, "clicks", "ball.mrk.json");
    assert.deepEqual(Object.keys(file), ROLES);

    await page.reload();
    await shown(page, "clicks");
    await grown(page);
    assert.equal(await text(page, "#objects .count"), "7/7");
    await page.evaluate((voxel) => voxseed.stage.goTo(voxel), BALL.inside[1]);
    assert.ok((await covered(page)) > 0.9);
    assert.match(await text(page, "#cases [aria-current] .hidden"), /in progress/);
    await page.waitForFunction(() => voxseed.stage.solid?.overlay?.img.includes(1));
  }, true);
});

test("the threshold redraws at once, warns, and says how to train with it", async () => {
  await inPage("clicks", async (page) => {
    await grown(page);
    await page.locator("#threshold").fill("0");
    await page.locator("#threshold").dispatchEvent("change");
    await page.waitForSelector("#warnings li");
    assert.match(await text(page, "#warnings"), /Nothing grew/);
    assert.match(await text(page, "#threshold-hint"), /expansion.foreground_threshold=0.00/);
  });
});

test("undo, redo, dragging a point, a second object, removing one", async () => {
  await inPage("undo", async (page) => {
    await sevenClicks(page);
    const before = await readMarkups(site.server, "undo", "ball.mrk.json");
    const [x, y] = await screenOf(page, 2, BALL.left[1]);
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x + 20, y, { steps: 4 });
    await page.mouse.up();
    await saved(page);
    const moved = await readMarkups(site.server, "undo", "ball.mrk.json");
    assert.notDeepEqual(moved.left, before.left);
    assert.deepEqual(moved.right, before.right);
    await page.click("#undo");
    await saved(page);
    assert.deepEqual(await readMarkups(site.server, "undo", "ball.mrk.json"), before);
    await page.keyboard.press("Control+Shift+Z");
    await saved(page);
    assert.deepEqual(await readMarkups(site.server, "undo", "ball.mrk.json"), moved);

    await page.selectOption("#new-class", "cyst");
    await page.click("#new-object");
    await click(page, 2, [10, 30, 14]);
    await saved(page);
    assert.deepEqual(await page.locator("#objects .count").allTextContents(), ["7/7", "1/7"]);
    assert.deepEqual(Object.keys(await readMarkups(site.server, ".drafts", "undo", "cyst.mrk.json")), ["inside"]);
    await page.click("button[title='Remove cyst']");
    await saved(page);
    assert.equal(await page.locator("#objects li").count(), 1);
    await page.keyboard.press("Control+Z");
    await saved(page);
    assert.equal(await page.locator("#objects li").count(), 2);
    await assert.rejects(readMarkups(site.server, "undo", "cyst.mrk.json"));
  });
});

test("painting: strokes, fill between, slice complete, eraser, undo, and a reload", async () => {
  const count = (page, value) => page.evaluate((each) => voxseed.session.labels.values.filter((v) => v === each).length, value);
  const at = (page, k) => page.evaluate((each) => voxseed.stage.goTo([25, 18, each]), k);
  await inPage("paint", async (page) => {
    await page.keyboard.press("b");
    for (const k of [10, 16]) {
      await at(page, k);
      await drag(page, 2, [20, 18, k], [28, 18, k]);
    }
    const strokes = await count(page, 1);
    assert.ok(strokes > 100);
    await page.click("#fill");
    await page.waitForFunction((before) => voxseed.session.labels.values.filter((v) => v === 1).length > 2 * before, strokes);
    assert.equal(await page.evaluate(() => voxseed.session.labels.values[voxseed.session.labels.index(24, 18, 13)]), 1);
    await page.click("#complete");
    assert.equal(await text(page, "#complete"), "Slice is complete");
    const filled = await count(page, 1);
    await page.keyboard.press("e");
    await drag(page, 2, [22, 18, 16], [25, 18, 16]);
    assert.ok((await count(page, 1)) < filled);
    await page.keyboard.press("Control+Z");
    assert.equal(await count(page, 1), filled);
    await saved(page);
    const background = await count(page, 0);
    assert.ok((await stat(path.join(site.server.root, "annotations", "page", "paint.nii.gz"))).size > 0);

    await page.reload();
    await shown(page, "paint");
    assert.deepEqual([await count(page, 1), await count(page, 0)], [filled, background]);
  });
});

test("a box by dragging in two views", async () => {
  await inPage("box", async (page) => {
    await page.keyboard.press("r");
    await page.evaluate((voxel) => voxseed.stage.goTo(voxel), BALL.inside[1]);
    await drag(page, 2, [12, 8, 14], [38, 28, 14]);
    await drag(page, 1, [12, 18, 5], [38, 18, 23]);
    await saved(page);
    const content = await readFile(path.join(site.server.root, "annotations", "page", "box", "ball.box.mrk.json"), "utf8");
    const [roi] = JSON.parse(content).markups;
    assert.equal(roi.type, "ROI");
    const expected = [27 * 1.0, 21 * 1.25, 19 * 1.5];
    roi.size.forEach((value, axis) => assert.ok(Math.abs(value - expected[axis]) < 1e-6, `${roi.size}`));
    await page.keyboard.press("Delete");
    await saved(page);
    await assert.rejects(stat(path.join(site.server.root, "annotations", "page", "box")));
  });
});

test("everything by keyboard", async () => {
  await inPage("keyboard", async (page) => {
    const press = async (key, times = 1) => {
      for (let time = 0; time < times; time++) await page.keyboard.press(key);
    };
    await page.focus("#stage");
    await page.evaluate((voxel) => voxseed.stage.goTo(voxel), BALL.inside[1]);
    await press("1");
    await press("Enter"); // inside
    const steps = [["ArrowRight", 15], ["ArrowLeft", 15], ["ArrowDown", 12], ["ArrowUp", 12], ["PageDown", 10], ["PageUp", 10]];
    for (const [key, times] of steps) {
      await press(key, times);
      await press("Enter"); // the cursor goes back to the inside
    }
    await grown(page);
    await saved(page);
    const file = await readMarkups(site.server, "keyboard", "ball.mrk.json");
    assert.ok(Math.abs(file.left[0] - (file.inside[0] - 15)) < 1e-6);
    assert.ok(Math.abs(file.superior[2] - (file.inside[2] + 15)) < 1e-6);
    await press("b");
    await press("Enter");
    await press("c", 2);
    await press("ArrowRight", 12);
    await press("Enter");
    await saved(page);
    assert.deepEqual(
      await page.evaluate(() => [...new Set(voxseed.session.labels.values)].sort((a, b) => a - b)),
      [0, 1, 255],
    );
    await press("d");
    await page.waitForFunction(() => voxseed.stateOf("keyboard") === "done");
    await press("n");
    await page.waitForFunction(() => ![undefined, "keyboard"].includes(voxseed.session?.info.name));
    await press("?");
    assert.ok(await page.isVisible("#help"));
    await press("Escape");
  });
});

test("a second tab is told, can look, and can take over", async () => {
  await inPage("tabs", async (first) => {
    await click(first, ...BALL.inside);
    await saved(first);
    const second = await openCase(site.context, site.server, "look");
    await show(second, "tabs");
    await second.waitForSelector("#taken[open]");
    assert.match(await text(second, "#taken-text"), /open in another tab/);
    await second.evaluate(() => voxseed.open("look"));
    assert.equal(await second.locator("#taken[open]").count(), 0); // or its answer would be of another case than it asks for
    await show(second, "tabs");
    await second.click("#only-look");
    assert.match(await guide(second), /Only looking/);
    await click(second, ...BALL.left);
    assert.equal(await second.evaluate(() => voxseed.session.current.points.length), 1);
    await second.evaluate(() => voxseed.open("tabs"));
    await second.click("#take-over");
    await second.waitForFunction(() => voxseed.session?.readOnly === false);
    await shown(second, "tabs");
    await click(second, ...BALL.left);
    await saved(second);
    assert.deepEqual(Object.keys(await readMarkups(site.server, ".drafts", "tabs", "ball.mrk.json")), ["inside", "left"]);
    await click(first, ...BALL.right);
    await first.waitForFunction(() => voxseed.session.readOnly);
    assert.match(await guide(first), /another tab/);
    assert.deepEqual(second.problems, []);
    await second.close();
  });
});

for (const name of ["ras", "lps", "las", "permuted", "oblique"]) {
  test(`a click on a landmark gives its place in mm: ${name}`, async () => {
    await inPage(`landmark-${name}`, async (page) => {
      const { mm, voxel, spacing } = site.server.landmarks[name];
      const half = Math.min(...spacing) / 2;
      for (const axis of [2, 1, 0]) {
        await page.evaluate((each) => voxseed.stage.goTo(each), voxel);
        await page.mouse.click(...(await brightest(page, axis)));
        await saved(page);
        const { inside } = await readMarkups(site.server, ".drafts", `landmark-${name}`, "ball.mrk.json");
        const away = Math.hypot(...inside.map((value, each) => value - mm[each]));
        assert.ok(away < half, `view ${axis}: ${away.toFixed(3)} mm away, ${half} allowed`);
        await page.keyboard.press("Control+Z");
        await saved(page);
      }
    });
  });
}

/** Where the image itself is brightest in a view, from the pixels that are drawn, in CSS pixels of the window. */
function brightest(page, axis) {
  return page.evaluate((wanted) => {
    const view = voxseed.stage.slices;
    const source = document.querySelector("#slices");
    const copy = Object.assign(document.createElement("canvas"), { width: source.width, height: source.height });
    copy.getContext("2d").drawImage(source, 0, 0);
    const box = source.getBoundingClientRect();
    const ratio = source.width / box.width;
    const tile = view.tiles().find((each) => each.axis === wanted);
    const [left, top, width, height] = [tile.left, tile.top, tile.width, tile.height].map((value) => Math.floor(value * ratio));
    const { data } = copy.getContext("2d").getImageData(left, top, width, height);
    let [sum, x, y] = [0, 0, 0];
    for (let at = 0; at < width * height; at++) {
      if (data[4 * at] < 128) continue;
      sum += 1;
      x += at % width;
      y += Math.floor(at / width);
    }
    if (sum === 0) throw new Error(`nothing bright in view ${wanted}`);
    return [box.left + (left + x / sum + 0.5) / ratio, box.top + (top + y / sum + 0.5) / ratio];
  }, axis);
}

test("axe-core finds nothing serious in any mode", async () => {
  const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
  await inPage("look", async (page) => {
    await page.evaluate(await readFile(axe, "utf8"));
    for (const key of ["p", "b", "r", "v", "?"]) {
      await page.keyboard.press(key);
      const found = await page.evaluate(async () => (await axe.run()).violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map((node) => node.html) })));
      assert.deepEqual(found.filter(({ impact }) => impact === "serious" || impact === "critical"), []);
    }
  });
});

test("killed between click and answer: the page says so, and the next one saves it", async () => {
  const page = await openCase(site.context, site.server, "lost");
  await click(page, ...BALL.inside);
  await saved(page);
  await site.server.stop("SIGKILL");
  await click(page, ...BALL.left);
  await page.waitForFunction(() => /not saved/.test(document.querySelector("#saved").textContent));
  site.server = await startServer(site.root, site.server.port);
  await page.close({ runBeforeUnload: false });
  const again = await openCase(site.context, site.server, "look");
  await again.waitForFunction(() => !Object.keys(localStorage).some((key) => key.startsWith("voxseed-unsaved")));
  assert.deepEqual(Object.keys(await readMarkups(site.server, ".drafts", "lost", "ball.mrk.json")), ["inside", "left"]);
  await again.close();
});
