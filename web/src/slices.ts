/** Three slices of a volume, drawn on a 2D canvas: at once, whatever the graphics card. */
import type { Axis, Grid, Vec3 } from "./geometry";
import { PLANE } from "./geometry";

/** Where a slice is on the canvas, in CSS pixels: voxel = offset + scale · pixel, across and up. */
export interface Tile {
  axis: Axis;
  index: number;
  left: number;
  top: number;
  width: number;
  height: number;
  across: { scale: number; offset: number };
  up: { scale: number; offset: number };
}

/** A place in the layout, as shares of the canvas: left, top, width, height. */
export type Place = [number, number, number, number];

type Voxels = Uint8Array | Int16Array | Uint16Array | Float32Array;

const HEADER = { datatype: 70, voxOffset: 108, highest: 124, lowest: 128 };
const TYPES: Record<number, new (content: ArrayBuffer, offset: number) => Voxels> = {
  2: Uint8Array,
  4: Int16Array,
  16: Float32Array,
  512: Uint16Array,
};
const MOST_ZOOM = 12;
const LEAST_WINDOW = 1e-6;

/** An upright slice is seen as a radiologist does: right and anterior on the left, superior and anterior on top. */
export class SliceView {
  window: [number, number] = [0, 1];
  range: [number, number] = [0, 1];
  private voxels: Voxels | null = null;
  private grid: Grid | null = null;
  private places = new Map<Axis, Place>();
  private cursor: Vec3 = [0, 0, 0];
  private zoom = 1;
  /** Moves what is shown, in mm along the volume's axes; a zoom of z shows z · mm + pan. */
  private pan: Vec3 = [0, 0, 0];
  private version = 0;
  private readonly kept = new Map<Axis, { key: string; canvas: HTMLCanvasElement }>();

  constructor(private readonly canvas: HTMLCanvasElement) {}

  /**
   * Show an uncompressed NIfTI file of one of `TYPES`, little-endian, in canonical axis order. Voxels may still arrive in
   * it; `completed` says that all have.
   */
  show(content: ArrayBuffer, grid: Grid): void {
    const header = new DataView(content);
    this.voxels = new TYPES[header.getInt16(HEADER.datatype, true)](content, header.getFloat32(HEADER.voxOffset, true));
    this.grid = grid;
    [this.zoom, this.pan] = [1, [0, 0, 0]];
    this.setWindow(header.getFloat32(HEADER.lowest, true), header.getFloat32(HEADER.highest, true));
    this.range = this.window;
  }

  /** Show nothing. */
  clear(): void {
    [this.voxels, this.grid] = [null, null];
    this.draw();
  }

  completed(): void {
    if (this.voxels === null) return;
    this.range = extremesOf(this.voxels);
    this.setWindow(...this.window);
  }

  setWindow(low: number, high: number): void {
    this.window = [low, Math.max(high, low + LEAST_WINDOW)];
    this.version += 1;
    this.draw();
  }

  arrange(places: Map<Axis, Place>): void {
    this.places = places;
    this.draw();
  }

  /** Show the slices through a voxel. */
  goTo(voxel: Vec3): void {
    this.cursor = voxel;
    this.draw();
  }

  /** Enlarge around a voxel. */
  zoomAt(factor: number, voxel: Vec3): void {
    const { grid } = this;
    if (grid === null) return;
    const zoom = Math.min(Math.max(this.zoom * factor, 1), MOST_ZOOM);
    voxel.forEach((value, axis) => (this.pan[axis] += (this.zoom - zoom) * (value + 0.5) * grid.spacing[axis]));
    if (zoom === 1) this.pan = [0, 0, 0];
    this.zoom = zoom;
    this.draw();
  }

  panBy(voxels: Vec3): void {
    const { grid } = this;
    if (grid === null) return;
    voxels.forEach((value, axis) => (this.pan[axis] += this.zoom * value * grid.spacing[axis]));
    this.draw();
  }

  tiles(): Tile[] {
    const { grid } = this;
    return grid === null ? [] : [...this.places].map(([axis, place]) => this.tile(axis, place, grid));
  }

  draw(): void {
    const { canvas, voxels, grid } = this;
    const ratio = window.devicePixelRatio;
    [canvas.width, canvas.height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (voxels === null || grid === null) return;
    const context = canvas.getContext("2d")!;
    for (const tile of this.tiles()) {
      const [x, y, left, top] = placement(tile);
      context.save();
      context.scale(ratio, ratio);
      context.beginPath();
      context.rect(tile.left, tile.top, tile.width, tile.height);
      context.clip();
      context.transform(x, 0, 0, y, left, top);
      context.drawImage(this.picture(tile, voxels, grid), 0, 0);
      context.restore();
    }
  }

  /** As large as its place allows, in the middle of it. */
  private tile(axis: Axis, [left, top, width, height]: Place, grid: Grid): Tile {
    const { clientWidth, clientHeight } = this.canvas;
    const [across, up] = PLANE[axis];
    const [mmAcross, mmUp] = [across, up].map((each) => grid.shape[each] * grid.spacing[each]);
    const perMm = Math.min((width * clientWidth) / mmAcross, (height * clientHeight) / mmUp);
    const [w, h] = [mmAcross * perMm, mmUp * perMm];
    const [l, t] = [left * clientWidth + (width * clientWidth - w) / 2, top * clientHeight + (height * clientHeight - h) / 2];
    /** From the far end of the axis at `start` to its first voxel: right, anterior and superior ends come first. */
    const line = (along: Axis, start: number, length: number) => {
      const scale = -1 / (perMm * this.zoom * grid.spacing[along]);
      const first = start + length - perMm * (this.pan[along] + 0.5 * this.zoom * grid.spacing[along]);
      return { scale, offset: -scale * first };
    };
    return {
      axis,
      index: this.cursor[axis],
      left: l,
      top: t,
      width: w,
      height: h,
      across: line(across, l, w),
      up: line(up, t, h),
    };
  }

  /** A slice, a pixel per voxel; kept until the slice or the window changes. */
  private picture(tile: Tile, voxels: Voxels, grid: Grid): HTMLCanvasElement {
    const key = `${tile.index}/${this.version}`;
    let kept = this.kept.get(tile.axis);
    if (kept?.key !== key) {
      kept = { key, canvas: kept?.canvas ?? document.createElement("canvas") };
      paint(kept.canvas, tile, voxels, grid, this.window);
      this.kept.set(tile.axis, kept);
    }
    return kept.canvas;
  }
}

/** Scale and place of a picture with a pixel per voxel: x, y, left, top. */
export function placement(tile: Tile): [number, number, number, number] {
  const [x, y] = [1 / tile.across.scale, 1 / tile.up.scale];
  return [x, y, (-0.5 - tile.across.offset) * x, (-0.5 - tile.up.offset) * y];
}

function paint(canvas: HTMLCanvasElement, tile: Tile, voxels: Voxels, { shape }: Grid, [low, high]: [number, number]): void {
  const [across, up] = PLANE[tile.axis];
  const steps = [1, shape[0], shape[0] * shape[1]];
  [canvas.width, canvas.height] = [shape[across], shape[up]];
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(canvas.width, canvas.height);
  const grey = new Uint32Array(image.data.buffer);
  const factor = 255 / (high - low);
  let at = 0;
  for (let row = 0; row < canvas.height; row++) {
    let from = tile.index * steps[tile.axis] + row * steps[up];
    for (let column = 0; column < canvas.width; column++, from += steps[across]) {
      const value = Math.min(Math.max((voxels[from] - low) * factor, 0), 255) | 0;
      grey[at++] = 0xff000000 | (value * 0x010101);
    }
  }
  context.putImageData(image, 0, 0);
}

/** Lowest and highest value; voxels that are no number are left out. */
function extremesOf(voxels: Voxels): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (let at = 0; at < voxels.length; at++) {
    const value = voxels[at];
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}
