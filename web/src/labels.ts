/** The painted map of a case: class index per voxel in canonical order, first axis fastest; 255 is unannotated. */
import type { SliceEdit } from "./api";
import type { Axis, Grid, Vec3 } from "./geometry";
import { PLANE } from "./geometry";

export const UNANNOTATED = 255;

/** The values of a map in which nobody painted. */
export function unpainted([a, b, c]: readonly number[]): Uint8Array {
  return new Uint8Array(a * b * c).fill(UNANNOTATED);
}

export class LabelMap {
  constructor(
    readonly grid: Grid,
    public values: Uint8Array,
  ) {}

  /** Index of the voxel, or -1 outside. */
  index(i: number, j: number, k: number): number {
    const [a, b, c] = this.grid.shape;
    return i < 0 || j < 0 || k < 0 || i >= a || j >= b || k >= c ? -1 : i + a * (j + b * k);
  }

  /** A copy of one slice, the lower axis fastest. */
  slice(axis: Axis, index: number): Uint8Array {
    const [across, up] = PLANE[axis];
    const { shape } = this.grid;
    const found = new Uint8Array(shape[across] * shape[up]);
    const [first, step, line] = this.walk(axis, index);
    for (let y = 0, n = 0; y < shape[up]; y++) {
      for (let x = 0, at = first + y * line; x < shape[across]; x++, at += step) found[n++] = this.values[at];
    }
    return found;
  }

  setSlice(axis: Axis, index: number, content: Uint8Array): void {
    const [across, up] = PLANE[axis];
    const { shape } = this.grid;
    const [first, step, line] = this.walk(axis, index);
    for (let y = 0, n = 0; y < shape[up]; y++) {
      for (let x = 0, at = first + y * line; x < shape[across]; x++, at += step) this.values[at] = content[n++];
    }
  }

  /** Paint an ellipse that is a disc in mm, in the slice through `center`. True if a voxel changed. */
  dab(axis: Axis, center: Vec3, radiusMm: number, value: number): boolean {
    const [across, up] = PLANE[axis];
    const { spacing } = this.grid;
    const reach = (each: Axis) => Math.floor(radiusMm / spacing[each]);
    let changed = false;
    for (let v = -reach(up); v <= reach(up); v++) {
      for (let u = -reach(across); u <= reach(across); u++) {
        if (Math.hypot(u * spacing[across], v * spacing[up]) > radiusMm && (u !== 0 || v !== 0)) continue;
        const voxel: Vec3 = [...center];
        voxel[across] += u;
        voxel[up] += v;
        const at = this.index(...voxel);
        if (at < 0 || this.values[at] === value) continue;
        this.values[at] = value;
        changed = true;
      }
    }
    return changed;
  }

  private walk(axis: Axis, index: number): Vec3 {
    const [a, b] = this.grid.shape;
    const steps: Vec3 = [1, a, a * b];
    const [across, up] = PLANE[axis];
    return [index * steps[axis], steps[across], steps[up]];
  }
}

/** What turns one slice into another. */
export function editOf(axis: Axis, index: number, before: Uint8Array, after: Uint8Array): SliceEdit {
  const runs: [number, number, number][] = [];
  for (let at = 0; at < after.length; at++) {
    if (before[at] === after[at]) continue;
    const last = runs[runs.length - 1];
    if (last !== undefined && last[0] + last[1] === at && last[2] === after[at]) last[1] += 1;
    else runs.push([at, 1, after[at]]);
  }
  return { axis, index, runs };
}

/** Voxels on the line between two, both included. */
export function line(from: Vec3, to: Vec3): Vec3[] {
  const steps = Math.max(1, ...from.map((value, axis) => Math.abs(to[axis] - value)));
  return Array.from({ length: steps + 1 }, (_, step) =>
    from.map((value, axis) => Math.round(value + ((to[axis] - value) * step) / steps)),
  ) as Vec3[];
}
