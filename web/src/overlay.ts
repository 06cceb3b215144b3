/** What is drawn over the slices: growth, painted voxels, boxes, points, crosshair, directions. */
import type { Growth, PlacedObject } from "./api";
import type { Axis, Grid, Vec3 } from "./geometry";
import { AXIS_NAMES, PLANE, toMm, toVoxel } from "./geometry";
import { BACKGROUND_COLOUR, colour, css, MARKS } from "./guide";
import type { LabelMap } from "./labels";
import { outlines, type Review } from "./review";
import { UNANNOTATED } from "./labels";
import { placement, type Tile } from "./slices";

const UNDEFINED = 255;
const LEVELS = 254;
const FADE_SLICES = 4;
/** Of 255: two opinions that are certain of different classes. */
const MOST_UNCERTAIN = 127;
/** Low and high end of each axis. */
const ENDS: Record<Axis, [string, string]> = { 0: ["L", "R"], 1: ["P", "A"], 2: ["I", "S"] };

export interface Shown {
  grid: Grid;
  labels: LabelMap;
  classes: string[];
  objects: PlacedObject[];
  current: PlacedObject | null;
  growths: Map<string, Growth>;
  threshold: number;
  review: Review | null;
  opacity: number;
  cursor: Vec3;
  active: Axis;
  wanted: Axis | null;
  brush: { at: Vec3; axis: Axis; radiusMm: number; value: number } | null;
  dragged: { axis: Axis; from: Vec3; to: Vec3 } | null;
}

export class Overlay {
  private readonly context: CanvasRenderingContext2D;
  private readonly kept = new Map<string, { key: string; canvas: HTMLCanvasElement }>();
  private readonly outlined = new Map<Axis, { key: string; paths: Map<number, Path2D> }>();
  /** To be raised when labels, growths or threshold change. */
  version = 0;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d")!;
  }

  clear(): void {
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  draw(tiles: Tile[], shown: Shown): void {
    const ratio = window.devicePixelRatio;
    const { clientWidth, clientHeight } = this.canvas;
    if (this.canvas.width !== Math.round(clientWidth * ratio) || this.canvas.height !== Math.round(clientHeight * ratio)) {
      this.canvas.width = Math.round(clientWidth * ratio);
      this.canvas.height = Math.round(clientHeight * ratio);
    }
    const { context } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, clientWidth, clientHeight);
    for (const tile of tiles) {
      context.save();
      context.beginPath();
      context.rect(tile.left, tile.top, tile.width, tile.height);
      context.clip();
      if (shown.opacity > 0) {
        this.drawReview(tile, shown);
        this.drawVoxels(tile, shown, "annotated", shown.opacity, fill);
      }
      this.drawBoxes(tile, shown);
      this.drawCrosshair(tile, shown);
      if (shown.opacity > 0) this.drawPoints(tile, shown);
      this.drawBrush(tile, shown);
      context.restore();
      this.drawFrame(tile, shown);
    }
  }

  /** Draw a slice of a kind of voxels, a pixel each; the picture is kept until the slice or the content changes. */
  private drawVoxels(tile: Tile, shown: Shown, kind: string, opacity: number, draw: Draw): void {
    const [place, key] = [`${kind}/${tile.axis}`, `${tile.index}/${this.version}/${shown.threshold}`];
    let kept = this.kept.get(place);
    if (kept?.key !== key) {
      kept = { key, canvas: kept?.canvas ?? document.createElement("canvas") };
      draw(kept.canvas, tile, shown);
      this.kept.set(place, kept);
    }
    const { context } = this;
    context.save();
    context.globalAlpha = opacity;
    context.imageSmoothingEnabled = false;
    const [x, y, left, top] = placement(tile);
    context.transform(x, 0, 0, y, left, top);
    context.drawImage(kept.canvas, 0, 0);
    context.restore();
  }

  private drawReview(tile: Tile, shown: Shown): void {
    const { review } = shown;
    if (review === null || review.shown === null) return;
    if (review.isOn && review.isFilled) this.drawVoxels(tile, shown, "predicted", review.opacity, fillPrediction);
    if (review.showsUncertainty && review.shown.uncertainty !== null) {
      this.drawVoxels(tile, shown, "uncertainty", shown.opacity, fillUncertainty);
    }
    if (!review.isOn) return;
    const key = `${tile.index}/${review.shown.prediction}`;
    let kept = this.outlined.get(tile.axis);
    if (kept?.key !== key) this.outlined.set(tile.axis, (kept = { key, paths: outlines(review.shown.labels, tile.axis, tile.index) }));
    const [x, y, left, top] = placement(tile);
    for (const [value, path] of kept.paths) this.stroke(path, new DOMMatrix([x, 0, 0, y, left, top]), css(colour(value)), review.opacity);
  }

  /** A line of two pixels, on a dark one, so that it is seen on any image. */
  private stroke(path: Path2D, placed: DOMMatrix, stroke: string, opacity: number): void {
    const { context } = this;
    const line = new Path2D();
    line.addPath(path, placed);
    context.save();
    context.globalAlpha = opacity;
    context.lineCap = "round";
    for (const [width, style] of [[4, "rgba(0, 0, 0, 0.45)"], [2, stroke]] as [number, string][]) {
      [context.lineWidth, context.strokeStyle] = [width, style];
      context.stroke(line);
    }
    context.restore();
  }

  private drawBoxes(tile: Tile, shown: Shown): void {
    const [across, up] = PLANE[tile.axis];
    for (const item of shown.objects) {
      const extent = extentOf(shown.grid, item, shown.dragged !== null && item === shown.current ? null : item.box);
      if (extent === null) continue;
      const cut = tile.index >= extent.low[tile.axis] - 0.5 && tile.index <= extent.high[tile.axis] + 0.5;
      this.rectangle(tile, extent.low, extent.high, across, up, css(colour(shown.classes.indexOf(item.class_name) + 1)), cut);
    }
    if (shown.dragged !== null && shown.dragged.axis === tile.axis) {
      const { from, to } = shown.dragged;
      const low = from.map((value, axis) => Math.min(value, to[axis])) as Vec3;
      const high = from.map((value, axis) => Math.max(value, to[axis])) as Vec3;
      this.rectangle(tile, low, high, across, up, "#ffffff", true);
    }
  }

  private rectangle(tile: Tile, low: Vec3, high: Vec3, across: Axis, up: Axis, stroke: string, solid: boolean): void {
    const { context } = this;
    const [x0, x1] = [pixel(tile.across, low[across] - 0.5), pixel(tile.across, high[across] + 0.5)];
    const [y0, y1] = [pixel(tile.up, low[up] - 0.5), pixel(tile.up, high[up] + 0.5)];
    context.strokeStyle = stroke;
    context.lineWidth = 1.5;
    context.globalAlpha = solid ? 1 : 0.4;
    context.setLineDash(solid ? [] : [5, 4]);
    context.strokeRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  private drawCrosshair(tile: Tile, { cursor }: Shown): void {
    const [across, up] = PLANE[tile.axis];
    const [x, y] = [pixel(tile.across, cursor[across]), pixel(tile.up, cursor[up])];
    const { context } = this;
    context.strokeStyle = "rgba(255, 255, 255, 0.55)";
    context.lineWidth = 1;
    context.beginPath();
    for (const [from, to] of [[-1e4, -12], [12, 1e4]]) {
      context.moveTo(x + from, y);
      context.lineTo(x + to, y);
      context.moveTo(x, y + from);
      context.lineTo(x, y + to);
    }
    context.stroke();
  }

  private drawPoints(tile: Tile, shown: Shown): void {
    const { context } = this;
    context.font = "600 11px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const item of shown.objects) {
      const rgb = colour(shown.classes.indexOf(item.class_name) + 1);
      for (const point of item.points) {
        const place = placeOf(tile, shown.grid, point.mm);
        if (place === null) continue;
        context.globalAlpha = place.opacity * (item === shown.current ? 1 : 0.65);
        context.beginPath();
        context.arc(place.x, place.y, point.role === "inside" ? 5 : 8, 0, 2 * Math.PI);
        context.fillStyle = point.role === "inside" ? css(rgb) : "rgba(10, 12, 14, 0.75)";
        context.fill();
        context.lineWidth = 2;
        context.strokeStyle = point.role === "inside" ? "#0d0f12" : css(rgb);
        context.stroke();
        if (point.role !== "inside") {
          context.fillStyle = "#ffffff";
          context.fillText(MARKS[point.role], place.x, place.y + 0.5);
        }
        context.globalAlpha = 1;
      }
    }
  }

  private drawBrush(tile: Tile, { brush, grid }: Shown): void {
    if (brush === null || brush.axis !== tile.axis) return;
    const [across, up] = PLANE[tile.axis];
    const { context } = this;
    const radius = (axis: Axis, scale: number) => Math.max(brush.radiusMm / grid.spacing[axis], 0.5) / Math.abs(scale);
    context.beginPath();
    context.ellipse(
      pixel(tile.across, brush.at[across]),
      pixel(tile.up, brush.at[up]),
      radius(across, tile.across.scale),
      radius(up, tile.up.scale),
      0,
      0,
      2 * Math.PI,
    );
    context.lineWidth = 1.5;
    context.strokeStyle = brush.value === UNANNOTATED ? "#ffffff" : css(colour(brush.value));
    context.stroke();
  }

  private drawFrame(tile: Tile, { active, wanted, grid }: Shown): void {
    const { context } = this;
    const { left, top, width, height, axis } = tile;
    context.lineWidth = axis === active ? 2 : 1;
    context.strokeStyle = axis === wanted ? "#56b4e9" : axis === active ? "#7d8893" : "#343b42";
    context.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
    context.font = "600 12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    const [across, up] = PLANE[axis];
    const [first, last] = tile.across.scale > 0 ? ENDS[across] : [...ENDS[across]].reverse();
    const [upper, lower] = tile.up.scale > 0 ? ENDS[up] : [...ENDS[up]].reverse();
    this.label(first, left + 10, top + height / 2);
    this.label(last, left + width - 10, top + height / 2);
    this.label(upper, left + width / 2, top + 10);
    this.label(lower, left + width / 2, top + height - 10);
    context.textAlign = "left";
    this.label(`${AXIS_NAMES[axis]} ${tile.index + 1}/${grid.shape[axis]}`, left + 8, top + 12);
  }

  private label(text: string, x: number, y: number): void {
    const { context } = this;
    context.lineWidth = 3;
    context.strokeStyle = "rgba(0, 0, 0, 0.8)";
    context.strokeText(text, x, y);
    context.fillStyle = "#e6e9ec";
    context.fillText(text, x, y);
  }
}

export interface Touched {
  item: PlacedObject;
  index: number;
}

/** The point that is drawn at a place of a slice. */
export function pointAt(tile: Tile, grid: Grid, objects: PlacedObject[], x: number, y: number): Touched | null {
  let best: Touched | null = null;
  let nearest = 10;
  for (const item of objects) {
    item.points.forEach((point, index) => {
      const place = placeOf(tile, grid, point.mm);
      const distance = place === null ? Infinity : Math.hypot(place.x - x, place.y - y);
      if (distance < nearest) [best, nearest] = [{ item, index }, distance];
    });
  }
  return best;
}

export function pixel(line: { scale: number; offset: number }, voxel: number): number {
  return (voxel - line.offset) / line.scale;
}

/** First and last voxel, not rounded, of an object's box. */
export function extentOf(grid: Grid, item: PlacedObject, box = item.box): { low: Vec3; high: Vec3 } | null {
  if (box === null) return null;
  const center = toVoxel(grid, box.center_mm);
  const low: Vec3 = [...center];
  const high: Vec3 = [...center];
  for (let corner = 0; corner < 8; corner++) {
    const mm = box.center_mm.map(
      (value, row) =>
        value + [0, 1, 2].reduce((sum, axis) => sum + box.axes[axis][row] * box.size_mm[axis] * ((corner >> axis) & 1 ? 0.5 : -0.5), 0),
    ) as Vec3;
    toVoxel(grid, mm).forEach((value, axis) => {
      low[axis] = Math.min(low[axis], value + 0.5);
      high[axis] = Math.max(high[axis], value - 0.5);
    });
  }
  return { low, high };
}

/** Where a point is drawn on a slice; null where it is too many slices away. */
function placeOf(tile: Tile, grid: Grid, mm: Vec3): { x: number; y: number; opacity: number } | null {
  const voxel = toVoxel(grid, mm);
  const away = Math.abs(voxel[tile.axis] - tile.index);
  if (away > FADE_SLICES) return null;
  const [across, up] = PLANE[tile.axis];
  return {
    x: pixel(tile.across, voxel[across]),
    y: pixel(tile.up, voxel[up]),
    opacity: away <= 0.5 ? 1 : 0.55 - (0.35 * away) / FADE_SLICES,
  };
}

type Draw = (canvas: HTMLCanvasElement, tile: Tile, shown: Shown) => void;

/** Draw a slice a pixel per voxel. */
function drawSlice(canvas: HTMLCanvasElement, tile: Tile, shown: Shown, draw: (image: ImageData, width: number, height: number) => void): void {
  const [across, up] = PLANE[tile.axis];
  [canvas.width, canvas.height] = [shown.grid.shape[across], shown.grid.shape[up]];
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(canvas.width, canvas.height);
  draw(image, canvas.width, canvas.height);
  context.putImageData(image, 0, 0);
}

const fillPrediction: Draw = (canvas, tile, shown) => {
  const predicted = shown.review!.shown!.labels.slice(tile.axis, tile.index);
  drawSlice(canvas, tile, shown, (image) => {
    predicted.forEach((value, at) => value !== 0 && image.data.set([...colour(value), 110], 4 * at));
  });
};

/** From nothing where all opinions agree to nearly white where half of them are of another. */
const fillUncertainty: Draw = (canvas, tile, shown) => {
  const levels = shown.review!.shown!.uncertainty!.slice(tile.axis, tile.index);
  drawSlice(canvas, tile, shown, (image) => {
    levels.forEach((level, at) => {
      if (level === 0) return;
      const share = Math.min(level / MOST_UNCERTAIN, 1);
      image.data.set([255, 60 + 180 * share, 170 + 60 * share, 255 * Math.min(2 * share, 1)], 4 * at);
    });
  });
};

const fill: Draw = (canvas, tile, shown) => drawSlice(canvas, tile, shown, (image, width, height) => {
  const classes = new Uint8Array(width * height).fill(UNANNOTATED);
  for (const [name, growth] of shown.growths) {
    const item = shown.objects.find((each) => `${each.class_name}/${each.object_number}` === name);
    if (item !== undefined) addGrowth(classes, width, tile, growth, shown.classes.indexOf(item.class_name) + 1, shown.threshold);
  }
  paint(image, classes, width, height, 90, 240, 44);
  const painted = shown.labels.slice(tile.axis, tile.index);
  paint(image, painted, width, height, 120, 255, 110);
});

function addGrowth(classes: Uint8Array, width: number, tile: Tile, growth: Growth, value: number, threshold: number): void {
  const { start, shape, levels } = growth;
  const depth = tile.index - start[tile.axis];
  if (depth < 0 || depth >= shape[tile.axis]) return;
  const [across, up] = PLANE[tile.axis];
  const steps: Vec3 = [1, shape[0], shape[0] * shape[1]];
  const [foreground, background] = [threshold * LEVELS, Math.max(threshold, growth.background_threshold) * LEVELS];
  for (let y = 0; y < shape[up]; y++) {
    for (let x = 0; x < shape[across]; x++) {
      const level = levels[depth * steps[tile.axis] + x * steps[across] + y * steps[up]];
      if (level === UNDEFINED) continue;
      const at = x + start[across] + (y + start[up]) * width;
      if (level < foreground) classes[at] = value;
      else if (level > background && classes[at] === UNANNOTATED) classes[at] = 0;
    }
  }
}

/** Regions with an outline: inside at one opacity, at their border at another; background faint. */
function paint(image: ImageData, classes: Uint8Array, width: number, height: number, inside: number, border: number, faint: number): void {
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const value = classes[at];
      if (value === UNANNOTATED) continue;
      const isBorder =
        value !== 0 &&
        ((x > 0 && classes[at - 1] !== value) ||
          (x < width - 1 && classes[at + 1] !== value) ||
          (y > 0 && classes[at - width] !== value) ||
          (y < height - 1 && classes[at + width] !== value));
      const rgb = value === 0 ? BACKGROUND_COLOUR : colour(value);
      image.data.set([...rgb, value === 0 ? faint : isBorder ? border : inside], 4 * at);
    }
  }
}

/** Class of every voxel of a small copy of the volume, for the view in 3D. */
export function smallCopy(shown: Shown, shape: Vec3): Uint8Array {
  const found = new Uint8Array(shape[0] * shape[1] * shape[2]);
  const steps = shape.map((size, axis) => Math.ceil(shown.grid.shape[axis] / size)) as Vec3;
  const growths = [...shown.growths].map(([name, growth]) => {
    const item = shown.objects.find((each) => `${each.class_name}/${each.object_number}` === name);
    return { growth, value: item === undefined ? 0 : shown.classes.indexOf(item.class_name) + 1 };
  });
  let at = 0;
  for (let k = 0; k < shape[2]; k++) {
    for (let j = 0; j < shape[1]; j++) {
      for (let i = 0; i < shape[0]; i++, at++) {
        const voxel: Vec3 = [i * steps[0], j * steps[1], k * steps[2]];
        const painted = shown.labels.values[shown.labels.index(...voxel)];
        found[at] = painted === UNANNOTATED ? grownAt(growths, voxel, shown.threshold) || predictedAt(shown, voxel) : painted;
      }
    }
  }
  return found;
}

function predictedAt({ review }: Shown, voxel: Vec3): number {
  if (review === null || review.shown === null || !review.isOn) return 0;
  const { labels } = review.shown;
  return labels.values[labels.index(...voxel)];
}

function grownAt(growths: { growth: Growth; value: number }[], voxel: Vec3, threshold: number): number {
  for (const { growth, value } of growths) {
    const [i, j, k] = voxel.map((each, axis) => each - growth.start[axis]);
    const [a, b, c] = growth.shape;
    if (i < 0 || j < 0 || k < 0 || i >= a || j >= b || k >= c) continue;
    if (growth.levels[i + a * (j + b * k)] < threshold * LEVELS) return value;
  }
  return 0;
}

export function mmText(grid: Grid, voxel: Vec3): string {
  const [x, y, z] = toMm(grid, voxel).map((value) => value.toFixed(1));
  return `R ${x}  A ${y}  S ${z} mm, voxel ${voxel.map((value) => Math.round(value)).join(" ")}`;
}
