/** A review: what is predicted, how good it may be, what is thought of it. Knows no page elements. */
import type { State } from "./api";
import { ask, casePath, download, Refused } from "./api";
import type { Axis, Grid, Vec3 } from "./geometry";
import { PLANE, rounded } from "./geometry";
import { LabelMap } from "./labels";

export type Verdict = "undecided" | "accepted" | "flagged";

export interface ReviewedCase {
  name: string;
  state: State;
  verdict: Verdict;
  /** Names the prediction; empty while there is none. */
  prediction: string;
  estimate: number | null;
  expected_dice: Record<string, number>;
  mean_uncertainty: number | null;
  has_uncertainty: boolean;
  doubts: { class_name: string; rule: string; reason: string }[];
}

interface ReviewInfo {
  run: string;
  is_predicting: boolean;
  problem: string;
  cases: ReviewedCase[];
}

/** The prediction of the open case. */
export interface Shown {
  prediction: string;
  labels: LabelMap;
  /** 255 times how far the model's opinions differ; null where it has one. */
  uncertainty: LabelMap | null;
  /** Where to look first. */
  place: Vec3 | null;
}

export class Review {
  info: ReviewInfo = { run: "", is_predicting: true, problem: "", cases: [] };
  shown: Shown | null = null;
  isOn = true;
  isFilled = false;
  showsUncertainty = false;
  opacity = 1;
  isLoading = false;
  private loading = 0;

  /** Ask for the list. True if it is another than before. */
  async refresh(): Promise<boolean> {
    const before = JSON.stringify(this.info);
    this.info = await ask<ReviewInfo>("GET", "/api/review");
    return JSON.stringify(this.info) !== before;
  }

  find(name: string | undefined): ReviewedCase | undefined {
    return this.info.cases.find((each) => each.name === name);
  }

  /** Place in the list of predicted cases, from 1, the worst first. */
  rank(name: string): [number, number] {
    const ready = this.info.cases.filter((each) => each.prediction !== "");
    return [ready.findIndex((each) => each.name === name) + 1, ready.length];
  }

  /** Load the prediction of a case, if there is one. True if it is another than before. */
  async load(name: string, grid: Grid, signal?: AbortSignal): Promise<boolean> {
    const turn = ++this.loading;
    const found = this.find(name);
    this.shown = null;
    if (found === undefined || found.prediction === "") return false;
    this.isLoading = true;
    const query = `?prediction=${found.prediction}`;
    const map = async (kind: string) => new LabelMap(grid, new Uint8Array(await download(`${casePath(name)}/${kind}${query}`, signal)));
    try {
      const [labels, uncertainty] = await Promise.all([map("prediction"), found.has_uncertainty ? map("uncertainty") : null]);
      if (turn !== this.loading) return false;
      this.shown = { prediction: found.prediction, labels, uncertainty, place: placeOf(labels, uncertainty) };
      return true;
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return false; // predicted anew just now: the next list has it
      throw error;
    } finally {
      if (turn === this.loading) this.isLoading = false;
    }
  }

  leave(): void {
    this.loading += 1;
    this.isLoading = false;
    this.shown = null;
  }

  next(): Promise<{ case: string | null; reason: string }> {
    return ask("GET", "/api/review/next");
  }
}

/** The middle of what is most uncertain in the axial slice where most is; without uncertainty, of what is predicted. */
function placeOf(labels: LabelMap, uncertainty: LabelMap | null): Vec3 | null {
  const doubted = uncertainty === null ? null : middle(uncertainty, (value) => value);
  return doubted ?? middle(labels, (value) => (value === 0 ? 0 : 1));
}

function middle(map: LabelMap, weigh: (value: number) => number): Vec3 | null {
  const [width, height, depth] = map.grid.shape;
  let [most, found]: [number, Vec3 | null] = [0, null];
  for (let k = 0, at = 0; k < depth; k++) {
    let [sum, x, y] = [0, 0, 0];
    for (let j = 0; j < height; j++) {
      for (let i = 0; i < width; i++, at++) {
        const weight = weigh(map.values[at]);
        if (weight === 0) continue;
        sum += weight;
        x += weight * i;
        y += weight * j;
      }
    }
    if (sum > most) [most, found] = [sum, rounded([x / sum, y / sum, k])];
  }
  return found;
}

/** Edges of the voxels of each class in a slice, in voxels of the slice; a voxel at x reaches from x to x + 1. */
export function outlines(map: LabelMap, axis: Axis, index: number): Map<number, Path2D> {
  const [across, up] = PLANE[axis];
  const [width, height] = [map.grid.shape[across], map.grid.shape[up]];
  const values = map.slice(axis, index);
  const found = new Map<number, Path2D>();
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const value = values[at];
      if (value === 0) continue;
      let path = found.get(value);
      if (path === undefined) found.set(value, (path = new Path2D()));
      if (x === 0 || values[at - 1] !== value) edge(path, x, y, x, y + 1);
      if (x === width - 1 || values[at + 1] !== value) edge(path, x + 1, y, x + 1, y + 1);
      if (y === 0 || values[at - width] !== value) edge(path, x, y, x + 1, y);
      if (y === height - 1 || values[at + width] !== value) edge(path, x, y + 1, x + 1, y + 1);
    }
  }
  return found;
}

function edge(path: Path2D, x0: number, y0: number, x1: number, y1: number): void {
  path.moveTo(x0, y0);
  path.lineTo(x1, y1);
}
