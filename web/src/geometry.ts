/** Positions: voxels of the volume in canonical order (right, anterior, superior), and millimetres, RAS+. */

export type Axis = 0 | 1 | 2;
export type Vec3 = [number, number, number];

export interface Grid {
  shape: Vec3;
  /** (4, 4), voxel to mm. */
  affine: number[][];
  spacing: Vec3;
}

/** Axes of a slice perpendicular to `axis`: across and up the screen. */
export const PLANE: Record<Axis, [Axis, Axis]> = { 0: [1, 2], 1: [0, 2], 2: [0, 1] };
export const AXIS_NAMES: Record<Axis, string> = { 0: "sagittal", 1: "coronal", 2: "axial" };

export function gridOf(shape: Vec3, affine: number[][]): Grid {
  const spacing = ([0, 1, 2] as Axis[]).map((axis) => Math.hypot(affine[0][axis], affine[1][axis], affine[2][axis]));
  return { shape, affine, spacing: spacing as Vec3 };
}

export function toMm(grid: Grid, voxel: Vec3): Vec3 {
  return [0, 1, 2].map(
    (row) => grid.affine[row][3] + voxel.reduce((sum, value, axis) => sum + grid.affine[row][axis] * value, 0),
  ) as Vec3;
}

/** The inverse of `toMm`, by Cramer's rule. */
export function toVoxel(grid: Grid, mm: Vec3): Vec3 {
  const column = (axis: number): Vec3 => [0, 1, 2].map((row) => grid.affine[row][axis]) as Vec3;
  const [a, b, c] = [column(0), column(1), column(2)];
  const d = [0, 1, 2].map((row) => mm[row] - grid.affine[row][3]) as Vec3;
  const whole = determinant(a, b, c);
  return [determinant(d, b, c) / whole, determinant(a, d, c) / whole, determinant(a, b, d) / whole];
}

export function clampVoxel(grid: Grid, voxel: Vec3): Vec3 {
  return voxel.map((value, axis) => Math.min(Math.max(value, 0), grid.shape[axis] - 1)) as Vec3;
}

export function rounded(voxel: Vec3): Vec3 {
  return voxel.map(Math.round) as Vec3;
}

/** Unit vectors (RAS) along the volume's axes. */
export function unitAxes(grid: Grid): [Vec3, Vec3, Vec3] {
  const unit = (axis: Axis): Vec3 => [0, 1, 2].map((row) => grid.affine[row][axis] / grid.spacing[axis]) as Vec3;
  return [unit(0), unit(1), unit(2)];
}

function determinant(a: Vec3, b: Vec3, c: Vec3): number {
  return (
    a[0] * (b[1] * c[2] - b[2] * c[1]) - b[0] * (a[1] * c[2] - a[2] * c[1]) + c[0] * (a[1] * b[2] - a[2] * b[1])
  );
}
