/** Everything by keyboard. */
import type { Axis } from "./geometry";
import { ROLES } from "./guide";
import { UNANNOTATED } from "./labels";
import type { App } from "./main";
import type { ReviewPanel } from "./review_panel";

const HELP: [string, string][] = [
  ["← ↑ → ↓", "move in the active view (Shift: 10 voxels)"],
  ["Click", "place, paint; drag a point to move it"],
  ["Page Up, Page Down", "next, previous slice"],
  ["Wheel", "scroll slices (Ctrl: zoom)"],
  ["Enter", "place, paint, set a corner of the box"],
  ["Shift and drag", "move the crosshair"],
  ["1 2 3", "axial, coronal, sagittal view"],
  ["Right button", "window and level"],
  ["P B R V", "points, paint, box, look around"],
  ["Middle button", "move the zoomed image"],
  ["[ ]", "previous, next kind of point"],
  ["i k, j l", "lighter, darker; less, more contrast"],
  ["Delete", "remove the last point, or the box"],
  ["+ −", "zoom; when painting, radius of the brush"],
  ["O", "new object"],
  ["Space", "hide the overlay while held"],
  ["Tab", "next button; C chooses the next class or object"],
  ["F, T", "one large view; view in 3D on or off"],
  ["E, M, L", "eraser; slice complete; fill between"],
  ["0", "window, zoom and position as at first"],
  ["Ctrl+Z, Ctrl+Y", "undo, redo"],
  ["D, X", "done, flagged"],
  ["N, Shift+N", "next, previous case"],
  ["?", "this help"],
];
const REVIEW_HELP: [string, string][] = [
  ["A, X", "accept, flag the prediction; again: take it back"],
  ["Q, W", "prediction on or off; filled or outlines"],
  ["U, H", "uncertainty on or off; go where it is highest"],
  ["G", "annotate next: the case to learn most from"],
  ["S", "when painting: rest of the slice as predicted"],
];
/** Of annotating, and of no use in a review. */
const NOT_IN_REVIEW = "D, X";
const VIEWS: Record<string, Axis> = { "1": 2, "2": 1, "3": 0 };

export function bindKeys(app: App): void {
  document.querySelector("#help-open")!.addEventListener("click", () => app.panel.showHelp(helpOf(app)));
  document.addEventListener("keydown", (event) => {
    if (isBusy(event)) return;
    const action = event.ctrlKey || event.metaKey ? withControl(app, event) : plain(app, event);
    if (action === undefined) return;
    event.preventDefault();
    action();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key !== " " || !app.stage.hidden) return;
    app.stage.hidden = false;
    app.stage.draw();
  });
}

/** Whether the key belongs to what has the focus: a text, a list, a dialog; a button has Enter and Space. */
function isBusy(event: KeyboardEvent): boolean {
  const focused = document.activeElement;
  if (document.querySelector("dialog[open]") !== null || event.altKey) return true;
  if (focused instanceof HTMLSelectElement) return true;
  if (focused instanceof HTMLInputElement) return focused.type !== "checkbox" || [" ", "Enter"].includes(event.key);
  const isControl = focused instanceof HTMLButtonElement || focused instanceof HTMLAnchorElement || focused?.tagName === "SUMMARY";
  return isControl && [" ", "Enter"].includes(event.key);
}

function withControl(app: App, event: KeyboardEvent): (() => void) | undefined {
  const key = event.key.toLowerCase();
  if (key === "z") return () => (event.shiftKey ? app.session?.redo() : app.session?.undo());
  if (key === "y") return () => app.session?.redo();
  return undefined;
}

function plain(app: App, event: KeyboardEvent): (() => void) | undefined {
  const { stage, session } = app;
  const far = event.shiftKey ? 10 : 1;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key in VIEWS) return () => stage.activate(VIEWS[key]);
  const actions: Record<string, () => void> = {
    ArrowLeft: () => stage.move(-far, 0, 0),
    ArrowRight: () => stage.move(far, 0, 0),
    ArrowUp: () => stage.move(0, far, 0),
    ArrowDown: () => stage.move(0, -far, 0),
    PageUp: () => stage.move(0, 0, far),
    PageDown: () => stage.move(0, 0, -far),
    Enter: () => stage.actAtCursor(),
    Delete: () => (stage.mode === "box" ? session?.removeBox() : session?.removePoint()),
    Backspace: () => (stage.mode === "box" ? session?.removeBox() : session?.removePoint()),
    " ": () => {
      stage.hidden = true;
      stage.draw();
    },
    p: () => stage.setMode("points"),
    b: () => stage.setMode("paint"),
    r: () => stage.setMode("box"),
    v: () => stage.setMode("look"),
    o: () => session?.addObject(document.querySelector<HTMLSelectElement>("#new-class")!.value),
    c: () => nextChoice(app),
    "[": () => nextRoleFrom(app, -1),
    "]": () => nextRoleFrom(app, 1),
    i: () => stage.adjustWindow(-0.05, 0),
    k: () => stage.adjustWindow(0.05, 0),
    j: () => stage.adjustWindow(0, 0.1),
    l: () => (stage.mode === "paint" ? document.querySelector<HTMLElement>("#fill")!.click() : stage.adjustWindow(0, -0.1)),
    m: () => stage.mode === "paint" && session?.completeSlice(stage.active, stage.cursor[stage.active]),
    e: () => chooseBrush(app, UNANNOTATED),
    "+": () => enlarge(app, 1),
    "=": () => enlarge(app, 1),
    "-": () => enlarge(app, -1),
    t: () => stage.setIn3D(!stage.in3D),
    f: () => stage.setLarge(!stage.large),
    "0": () => stage.reset(),
    ...(app.reviewPanel === null ? annotating(app) : reviewing(app, app.reviewPanel)),
    n: () => void app.step(event.shiftKey ? -1 : 1),
    "?": () => app.panel.showHelp(helpOf(app)),
  };
  return actions[key];
}

function annotating(app: App): Record<string, () => void> {
  return { d: () => void app.setState("done"), x: () => void app.setState("flagged") };
}

function reviewing(app: App, panel: ReviewPanel): Record<string, () => void> {
  return {
    a: () => void app.judge("accepted"),
    x: () => void app.judge("flagged"),
    g: () => void app.annotateNext(),
    q: () => panel.toggle("isOn"),
    w: () => panel.toggle("isFilled"),
    u: () => panel.toggle("showsUncertainty"),
    h: () => app.lookWhereDoubted(),
    s: () => panel.sliceAsPredicted(),
  };
}

function helpOf(app: App): [string, string][] {
  return app.review === null ? HELP : [...REVIEW_HELP, ...HELP.filter(([key]) => key !== NOT_IN_REVIEW)];
}

/** The next class to paint, or the next object. */
function nextChoice(app: App): void {
  const { stage, session, dataset } = app;
  if (session === null) return;
  if (stage.mode === "paint") {
    const values = [...dataset.classes.map((_, index) => index + 1), 0];
    chooseBrush(app, values[(values.indexOf(stage.brushValue) + 1) % values.length]);
  } else if (session.objects.length > 0) {
    const at = session.objects.findIndex((item) => item === session.current);
    session.choose(session.objects[(at + 1) % session.objects.length]);
  }
}

function nextRoleFrom(app: App, by: number): void {
  const { session } = app;
  if (session === null) return;
  const at = ROLES.indexOf(session.role ?? ROLES[0]);
  session.role = ROLES[(at + by + ROLES.length) % ROLES.length];
  app.refresh();
}

function chooseBrush(app: App, value: number): void {
  app.stage.brushValue = value;
  app.panel.show();
}

function enlarge(app: App, by: number): void {
  const { stage } = app;
  if (stage.mode === "paint") stage.brushMm = Math.min(Math.max(stage.brushMm + 0.5 * by, 0.5), 30);
  else stage.zoom(by > 0 ? 1.25 : 0.8);
  app.panel.show();
  stage.draw();
}
