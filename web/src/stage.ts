/** The slices and what happens on them: pointer, wheel, cursor, window and level. */
import type { PlacedObject } from "./api";
import type { Axis, Grid, Vec3 } from "./geometry";
import { clampVoxel, PLANE, rounded, toVoxel } from "./geometry";
import { VIEW_OF } from "./guide";
import type { App } from "./main";
import { Overlay, type Shown, extentOf, mmText, pointAt, smallCopy } from "./overlay";
import { type Place, SliceView, type Tile } from "./slices";
import type { SolidView } from "./solid";

export type Mode = "points" | "paint" | "box" | "look";

const AXES: Axis[] = [2, 1, 0];
/** Of the width, for the small views beside a large one. */
const SIDE = 0.3;
/** The smaller part of a side that two views share is at least this share of it. */
const MOST_UNEQUAL = 0.36;
const IN_3D_KEY = "voxseed-3d";
const SOLID_DELAY_MS = 300;

type Gesture =
  | { kind: "point"; before: PlacedObject; item: PlacedObject; index: number }
  | { kind: "stroke"; axis: Axis }
  | { kind: "box"; axis: Axis; from: Vec3 }
  | { kind: "window"; x: number; y: number; low: number; high: number }
  | { kind: "pan"; from: Vec3; axis: Axis }
  | { kind: "cursor"; axis: Axis };

export class Stage {
  mode: Mode = "points";
  cursor: Vec3 = [0, 0, 0];
  active: Axis = 2;
  opacity = 0.8;
  hidden = false;
  large = false;
  /** Without a graphics card the view in 3D takes most of the time; the browser keeps the choice. */
  in3D = localStorage.getItem(IN_3D_KEY) !== "off";
  brushMm = 4;
  /** Class index that is painted; UNANNOTATED erases. */
  brushValue = 1;
  private readonly element = document.querySelector<HTMLElement>("#stage")!;
  private readonly canvas = document.querySelector<HTMLCanvasElement>("#overlay")!;
  private readonly solidPlace = document.querySelector<HTMLElement>("#solid")!;
  private readonly slices = new SliceView(document.querySelector<HTMLCanvasElement>("#slices")!);
  /** Null until it is first needed: it is most of the page's code. */
  private solid: SolidView | null = null;
  private readonly overlay = new Overlay(this.canvas);
  private gesture: Gesture | null = null;
  private hover: { voxel: Vec3; axis: Axis } | null = null;
  private dragged: Shown["dragged"] = null;
  private corner: Vec3 | null = null;
  private smallShape: Vec3 | null = null;
  /** A small copy that is not shown in 3D yet. */
  private small: { content: ArrayBuffer; colours: Vec3[] } | null = null;
  /** Counts what was shown, so that a late answer about an earlier volume is known for one. */
  private volume = 0;
  private solidTimer = 0;
  private frame = 0;
  private firstWindow: [number, number] = [0, 1];
  private wheel = 0;

  constructor(private readonly app: App) {}

  start(): void {
    this.arrange();
    new ResizeObserver(() => this.arrange()).observe(this.element);
    this.canvas.addEventListener("pointerdown", (event) => this.pointerDown(event));
    this.canvas.addEventListener("pointermove", (event) => this.pointerMove(event));
    this.canvas.addEventListener("pointerup", (event) => this.pointerUp(event));
    this.canvas.addEventListener("pointercancel", (event) => this.pointerUp(event));
    this.canvas.addEventListener("pointerleave", () => this.setHover(null));
    this.canvas.addEventListener("wheel", (event) => this.scrolled(event), { passive: false });
    this.canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    this.solidPlace.addEventListener("pointerdown", (event) => this.solidPlace.setPointerCapture(event.pointerId));
    this.solidPlace.addEventListener("pointermove", (event) => {
      if (event.buttons !== 0) this.solid?.rotateBy(event.movementX / 2, event.movementY / 2);
    });
  }

  /** Show slices of a volume that may still arrive. */
  show(content: ArrayBuffer, grid: Grid): void {
    const isFirst = this.slices.tiles().length === 0; // not another channel of a case that is looked at
    this.slices.show(content, grid);
    this.volume += 1;
    [this.small, this.smallShape] = [null, null];
    this.firstWindow = this.slices.window;
    this.arrange();
    this.goTo(isFirst ? (grid.shape.map((size) => Math.floor((size - 1) / 2)) as Vec3) : this.cursor);
    this.changed();
  }

  /** Show nothing of the case that is left, on which a click could be meant for the next one. */
  clear(): void {
    this.slices.clear();
    this.volume += 1;
    [this.small, this.smallShape] = [null, null];
    [this.gesture, this.dragged, this.hover, this.corner] = [null, null, null, null];
    document.querySelector("#position")!.textContent = "";
    this.changed();
  }

  /** All of it has arrived. The view in 3D comes last: without a graphics card it keeps the browser busy. */
  completed(coarse: ArrayBuffer, colours: Vec3[]): void {
    this.slices.completed();
    this.small = { content: coarse, colours };
    this.changed();
  }

  /** Whether the view in 3D is of the open case. */
  get isSolid(): boolean {
    return this.in3D && this.smallShape !== null;
  }

  get window(): [number, number] {
    return this.slices.window;
  }

  get range(): [number, number] {
    return this.slices.range;
  }

  setWindow(low: number, high: number): void {
    this.slices.setWindow(low, high);
    if (this.in3D) this.solid?.setWindow(low, high);
    this.app.panel.showWindow();
    this.draw();
  }

  /** Lighter or darker, more or less contrast, by shares of the window. */
  adjustWindow(level: number, width: number): void {
    const [low, high] = this.window;
    const range = high - low;
    const middle = (low + high) / 2 + level * range;
    const half = (range / 2) * Math.exp(width);
    this.setWindow(middle - half, middle + half);
  }

  reset(): void {
    const grid = this.app.session?.grid;
    if (grid === undefined) return;
    this.slices.zoomAt(1e-6, this.cursor);
    this.setWindow(...this.firstWindow);
    this.goTo(grid.shape.map((size) => Math.floor((size - 1) / 2)) as Vec3);
  }

  setMode(mode: Mode): void {
    this.mode = mode;
    this.corner = null;
    this.app.refresh();
  }

  setLarge(large: boolean): void {
    this.large = large;
    this.arrange();
    this.app.panel.show();
  }

  setIn3D(wanted: boolean): void {
    this.in3D = wanted;
    localStorage.setItem(IN_3D_KEY, wanted ? "on" : "off");
    this.arrange();
    this.changed();
    this.app.panel.show();
  }

  activate(axis: Axis): void {
    this.active = axis;
    if (this.large) this.arrange();
    this.draw();
  }

  goTo(voxel: Vec3): void {
    const grid = this.app.session?.grid;
    if (grid === undefined) return;
    this.cursor = rounded(clampVoxel(grid, voxel));
    this.slices.goTo(this.cursor);
    document.querySelector("#position")!.textContent = mmText(grid, this.cursor);
    this.draw();
    this.app.panel.showSlice();
  }

  /** Move the cursor by voxels along the axes of the active view, or through its slices. */
  move(across: number, up: number, through: number): void {
    const tile = this.slices.tiles().find((each) => each.axis === this.active);
    const [a, b] = PLANE[this.active];
    const voxel: Vec3 = [...this.cursor];
    voxel[a] += across * Math.sign(tile?.across.scale ?? 1);
    voxel[b] += up;
    voxel[this.active] += through;
    this.goTo(voxel);
  }

  zoom(factor: number): void {
    this.slices.zoomAt(factor, this.cursor);
    this.draw();
  }

  /** What a click does, at the cursor. */
  actAtCursor(): void {
    const { session } = this.app;
    if (session === null || !session.isShown) return;
    if (this.mode === "points") this.place(this.cursor);
    if (this.mode === "paint") {
      session.beginStroke(this.active, this.cursor, this.brushMm, this.brushValue);
      session.endStroke();
    }
    if (this.mode === "box") {
      if (this.corner === null) {
        this.corner = this.cursor;
        this.app.panel.announce("First corner set. Move to the opposite corner, and press Enter again.");
        return;
      }
      const { corner, cursor } = this;
      this.corner = null;
      const low = corner.map((value, axis) => Math.min(value, cursor[axis])) as Vec3;
      session.setBox(low, corner.map((value, axis) => Math.max(value, cursor[axis])) as Vec3);
    }
  }

  /** Something other than the cursor changed. */
  changed(): void {
    this.overlay.version += 1;
    this.draw();
    window.clearTimeout(this.solidTimer);
    this.solidTimer = window.setTimeout(() => void this.drawSolid(), SOLID_DELAY_MS);
  }

  draw(): void {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const shown = this.shown();
      if (shown === null) this.overlay.clear();
      else this.overlay.draw(this.slices.tiles(), shown);
    });
  }

  /** Where a voxel is on the screen, for whoever drives the page. */
  screenOf(axis: Axis, voxel: Vec3): [number, number] | null {
    const tile = this.slices.tiles().find((each) => each.axis === axis);
    if (tile === undefined) return null;
    const [across, up] = PLANE[axis];
    const { left, top } = this.canvas.getBoundingClientRect();
    return [
      left + (voxel[across] - tile.across.offset) / tile.across.scale,
      top + (voxel[up] - tile.up.offset) / tile.up.scale,
    ];
  }

  private arrange(): void {
    let [places, solid] = this.inFour();
    if (this.large) {
      places.set(this.active, [0, 0, 1 - SIDE, 1]);
      AXES.filter((axis) => axis !== this.active).forEach((axis, row) => places.set(axis, [1 - SIDE, row / 3, SIDE, 1 / 3]));
      solid = [1 - SIDE, 2 / 3, SIDE, 1 / 3];
    }
    const { style } = this.solidPlace;
    [style.left, style.top, style.width, style.height] = solid.map((share) => `${100 * share}%`);
    this.slices.arrange(places);
    if (this.in3D) this.solid?.redraw();
    this.draw();
  }

  /** Four views, whose sizes follow those of the volume. */
  private inFour(): [Map<Axis, Place>, Place] {
    const grid = this.app.session?.grid;
    const [i, j, k] = grid === undefined ? [1, 1, 1] : grid.shape.map((size, axis) => size * grid.spacing[axis]);
    const within = (share: number) => Math.min(Math.max(share, MOST_UNEQUAL), 1 - MOST_UNEQUAL);
    const [x, y] = [within(i / (i + j)), within(Math.max(j, k) / (Math.max(j, k) + k))];
    const places: [Axis, Place][] = [
      [2, [0, 0, x, y]],
      [0, [x, 0, 1 - x, y]],
      [1, [0, y, x, 1 - y]],
    ];
    return [new Map(places), [x, y, 1 - x, 1 - y]];
  }

  private async drawSolid(): Promise<void> {
    if (!this.in3D || (this.small === null && this.smallShape === null)) return;
    const { SolidView } = await import("./solid.js");
    this.solid ??= new SolidView(this.solidPlace.querySelector("canvas")!);
    const shown = this.shown();
    if (shown === null) return;
    if (this.small !== null) {
      const { content, colours } = this.small;
      this.small = null;
      const { volume } = this;
      const smallShape = await this.solid.show(content, shown.grid, colours);
      if (volume !== this.volume) return;
      this.smallShape = smallShape;
      this.app.panel.show();
    }
    if (this.smallShape !== null) this.solid.setLabels(smallCopy(shown, this.smallShape));
  }

  private shown(): Shown | null {
    const { session, dataset } = this.app;
    if (session === null || session.grid === undefined) return null;
    const { grid, labels, objects, current, growths, threshold, role } = session;
    const painting = this.mode === "paint" && this.hover !== null;
    return {
      grid,
      labels,
      classes: dataset.classes,
      objects,
      current,
      growths,
      threshold,
      review: this.app.review,
      opacity: this.hidden ? 0 : this.opacity,
      cursor: this.cursor,
      active: this.active,
      wanted: this.mode === "points" && role !== null && !session.readOnly ? VIEW_OF[role] : null,
      brush: painting ? { at: this.hover!.voxel, axis: this.hover!.axis, radiusMm: this.brushMm, value: this.brushValue } : null,
      dragged: this.dragged,
    };
  }

  private tileAt(event: PointerEvent | WheelEvent): { tile: Tile; x: number; y: number; voxel: Vec3 } | null {
    const { left, top } = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    const tile = this.slices.tiles().find((each) => x >= each.left && y >= each.top && x <= each.left + each.width && y <= each.top + each.height);
    return tile === undefined ? null : { tile, x, y, voxel: this.voxelIn(tile, x, y) };
  }

  /** The place of a click, not rounded: its slice, and where in the slice. */
  private voxelIn(tile: Tile, x: number, y: number): Vec3 {
    const [across, up] = PLANE[tile.axis];
    const voxel: Vec3 = [...this.cursor];
    voxel[tile.axis] = tile.index;
    voxel[across] = tile.across.offset + tile.across.scale * x;
    voxel[up] = tile.up.offset + tile.up.scale * y;
    return voxel;
  }

  private pointerDown(event: PointerEvent): void {
    const { session } = this.app;
    const hit = this.tileAt(event);
    if (session === null || hit === null) return;
    this.element.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    const { tile, voxel, x, y } = hit;
    if (tile.axis !== this.active) this.activate(tile.axis);
    if (event.button === 2) {
      const [low, high] = this.window;
      this.gesture = { kind: "window", x: event.clientX, y: event.clientY, low, high };
    } else if (event.button === 1) {
      event.preventDefault();
      this.gesture = { kind: "pan", from: voxel, axis: tile.axis };
    } else if (event.shiftKey || this.mode === "look" || session.readOnly) {
      this.gesture = { kind: "cursor", axis: tile.axis };
      this.goTo(voxel);
    } else if (this.mode === "paint") {
      this.gesture = { kind: "stroke", axis: tile.axis };
      session.beginStroke(tile.axis, voxel, this.brushMm, this.brushValue);
    } else if (this.mode === "box") {
      this.gesture = { kind: "box", axis: tile.axis, from: rounded(voxel) };
    } else {
      const touched = pointAt(tile, session.grid, session.objects, x, y);
      if (touched !== null) {
        this.gesture = { kind: "point", before: touched.item, ...touched };
        session.choose(touched.item);
      } else {
        this.place(clampVoxel(session.grid, voxel));
      }
    }
  }

  private pointerMove(event: PointerEvent): void {
    const { session } = this.app;
    const hit = this.tileAt(event);
    this.setHover(hit === null ? null : { voxel: rounded(hit.voxel), axis: hit.tile.axis });
    const { gesture } = this;
    if (session === null || gesture === null) return;
    if (gesture.kind === "window") {
      const range = gesture.high - gesture.low;
      const middle = (gesture.low + gesture.high) / 2 - ((event.clientY - gesture.y) / 200) * range;
      const half = (range / 2) * Math.exp((event.clientX - gesture.x) / 200);
      this.setWindow(middle - half, middle + half);
      return;
    }
    if (hit === null || ("axis" in gesture && gesture.axis !== hit.tile.axis)) return;
    const voxel = clampVoxel(session.grid, hit.voxel);
    if (gesture.kind === "point") gesture.item = session.drag(gesture.item, gesture.index, voxel);
    if (gesture.kind === "stroke") session.continueStroke(voxel, this.brushMm, this.brushValue);
    if (gesture.kind === "cursor") this.goTo(voxel);
    if (gesture.kind === "pan") this.slices.panBy(voxel.map((value, axis) => value - gesture.from[axis]) as Vec3);
    if (gesture.kind === "box") this.dragged = { axis: gesture.axis, from: gesture.from, to: rounded(voxel) };
    this.draw();
  }

  private pointerUp(event: PointerEvent): void {
    const { session } = this.app;
    const { gesture, dragged } = this;
    this.gesture = null;
    this.dragged = null;
    if (this.canvas.hasPointerCapture(event.pointerId)) this.canvas.releasePointerCapture(event.pointerId);
    if (session === null || gesture === null) return;
    if (gesture.kind === "stroke") session.endStroke();
    if (gesture.kind === "point" && gesture.item !== gesture.before) session.drop(gesture.before, gesture.item);
    if (gesture.kind === "box" && dragged !== null) this.setBox(dragged.axis, dragged.from, dragged.to);
    this.draw();
  }

  /** A box from a rectangle: its third side is that of the box before, else as long as the shorter of the two. */
  private setBox(axis: Axis, from: Vec3, to: Vec3): void {
    const session = this.app.session!;
    const { grid } = session;
    const low = from.map((value, each) => Math.min(value, to[each])) as Vec3;
    const high = from.map((value, each) => Math.max(value, to[each])) as Vec3;
    const known = session.current === null ? null : extentOf(grid, session.current);
    if (known !== null) {
      [low[axis], high[axis]] = [Math.round(known.low[axis]), Math.round(known.high[axis])];
    } else {
      const sides = PLANE[axis].map((each) => (high[each] - low[each] + 1) * grid.spacing[each]);
      const half = Math.round(Math.min(...sides) / grid.spacing[axis] / 2);
      [low[axis], high[axis]] = [from[axis] - half, from[axis] + half];
    }
    session.setBox(clampVoxel(grid, low), clampVoxel(grid, high));
  }

  /**
   * Place the point that is asked for. The slices then go through the object's inside, where all other points can be
   * placed without scrolling.
   */
  private place(voxel: Vec3): void {
    const session = this.app.session!;
    session.place(voxel);
    const inside = session.current?.points.filter((point) => point.role === "inside").pop();
    if (inside !== undefined) this.goTo(toVoxel(session.grid, inside.mm));
  }

  private scrolled(event: WheelEvent): void {
    const hit = this.tileAt(event);
    event.preventDefault();
    if (hit === null) return;
    if (event.ctrlKey || event.metaKey) {
      this.slices.zoomAt(Math.exp(-event.deltaY / 400), hit.voxel);
      this.draw();
      return;
    }
    this.wheel += event.deltaMode === 0 ? event.deltaY / 60 : event.deltaY;
    const steps = Math.trunc(this.wheel);
    this.wheel -= steps;
    if (steps === 0) return;
    const voxel: Vec3 = [...this.cursor];
    voxel[hit.tile.axis] -= steps;
    this.goTo(voxel);
  }

  private setHover(hover: { voxel: Vec3; axis: Axis } | null): void {
    this.hover = hover;
    if (this.mode === "paint") this.draw();
  }
}

