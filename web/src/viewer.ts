/**
 * Everything that knows NiiVue: three slices of a volume, and a small copy of it in 3D.
 *
 * NiiVue gets the volume without its rotation, so that its voxels lie along the screen whatever the affine; positions in
 * millimetres are made in `geometry` from the volume's own affine. NiiVue handles no events: what is clicked is computed
 * from the place of the click itself.
 */
import { Niivue, NVImage, SLICE_TYPE } from "@niivue/niivue";
import type { Axis, Grid, Vec3 } from "./geometry";
import { PLANE } from "./geometry";

const SLICE_TYPES: Record<Axis, SLICE_TYPE> = {
  0: SLICE_TYPE.SAGITTAL,
  1: SLICE_TYPE.CORONAL,
  2: SLICE_TYPE.AXIAL,
};
const OPTIONS = {
  interactive: false,
  dragAndDropEnabled: false,
  crosshairWidth: 0,
  show3Dcrosshair: false,
  isOrientationTextVisible: false,
  isRadiologicalConvention: true,
  sagittalNoseLeft: true,
  logLevel: "error" as const,
  backColor: [0.05, 0.06, 0.07, 1] as [number, number, number, number],
};
/** NiiVue declares all twenty arguments as required; the others have the defaults that are wanted. */
const images = NVImage as unknown as {
  new: (content: ArrayBuffer, name: string, colours: string, opacity: number) => Promise<NVImage>;
};
const HEADER = { dims: 40, datatype: 70, bitpix: 72, voxOffset: 108, qform: 252, sform: 254, rows: 280, end: 352 };

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

export class SliceView {
  private readonly niivue = new Niivue(OPTIONS);
  private grid: Grid | null = null;
  private zoom = 1;

  constructor(private readonly canvas: HTMLCanvasElement) {}

  async start(): Promise<void> {
    await this.niivue.attachToCanvas(this.canvas, false);
  }

  async show(content: ArrayBuffer, grid: Grid): Promise<void> {
    await replaceVolume(this.niivue, content, grid);
    this.grid = grid;
    this.zoom = 1;
    this.niivue.scene.pan2Dxyzmm = [0, 0, 0, 1];
  }

  get window(): [number, number] {
    const volume = this.niivue.volumes[0];
    return [volume?.cal_min ?? 0, volume?.cal_max ?? 1];
  }

  get range(): [number, number] {
    const volume = this.niivue.volumes[0];
    return [volume?.global_min ?? 0, volume?.global_max ?? 1];
  }

  setWindow(low: number, high: number): void {
    const volume = this.niivue.volumes[0];
    if (volume === undefined) return;
    volume.cal_min = low;
    volume.cal_max = Math.max(high, low + 1e-6);
    this.niivue.updateGLVolume();
  }

  setSmooth(smooth: boolean): void {
    this.niivue.setInterpolation(!smooth);
  }

  arrange(places: Map<Axis, Place>): void {
    this.niivue.setCustomLayout([...places].map(([axis, position]) => ({ sliceType: SLICE_TYPES[axis], position })));
  }

  /** Show the slices through a voxel. */
  goTo(voxel: Vec3): void {
    if (this.grid === null) return;
    const { shape } = this.grid;
    this.niivue.scene.crosshairPos = voxel.map((value, axis) => (value + 0.5) / shape[axis]) as Vec3;
    this.niivue.drawScene();
  }

  /** Enlarge around a voxel, or move by a part of the volume. */
  zoomAt(factor: number, voxel: Vec3): void {
    if (this.grid === null) return;
    const { spacing } = this.grid;
    const zoom = Math.min(Math.max(this.zoom * factor, 1), 12);
    const pan = this.niivue.scene.pan2Dxyzmm;
    voxel.forEach((value, axis) => (pan[axis] += (this.zoom - zoom) * value * spacing[axis]));
    if (zoom === 1) pan[0] = pan[1] = pan[2] = 0;
    pan[3] = this.zoom = zoom;
    this.niivue.drawScene();
  }

  panBy(voxels: Vec3): void {
    if (this.grid === null) return;
    const { spacing } = this.grid;
    const pan = this.niivue.scene.pan2Dxyzmm;
    voxels.forEach((value, axis) => (pan[axis] += this.zoom * value * spacing[axis]));
    this.niivue.drawScene();
  }

  redraw(): void {
    this.niivue.resizeListener();
  }

  tiles(): Tile[] {
    if (this.grid === null || this.niivue.volumes.length === 0) return [];
    const ratio = this.canvas.width / this.canvas.clientWidth;
    const found: Tile[] = [];
    this.niivue.screenSlices.forEach((slice, number) => {
      const axis = ([0, 1, 2] as Axis[]).find((each) => SLICE_TYPES[each] === slice.axCorSag);
      if (axis === undefined) return;
      const [x, top, w, height] = slice.leftTopWidthHeight;
      const [left, width] = w < 0 ? [x + w, -w] : [x, w];
      const near = this.voxelAt(left + 0.25 * width, top + 0.25 * height, number);
      const far = this.voxelAt(left + 0.75 * width, top + 0.75 * height, number);
      const [across, up] = PLANE[axis];
      const line = (a: number, b: number, start: number, length: number) => {
        const scale = (b - a) / (0.5 * length);
        return { scale: scale * ratio, offset: a - scale * (start + 0.25 * length) };
      };
      found.push({
        axis,
        index: Math.round(near[axis]),
        left: left / ratio,
        top: top / ratio,
        width: width / ratio,
        height: height / ratio,
        across: line(near[across], far[across], left, width),
        up: line(near[up], far[up], top, height),
      });
    });
    return found;
  }

  private voxelAt(x: number, y: number, slice: number): Vec3 {
    const fraction = this.niivue.screenXY2TextureFrac(x, y, slice, false);
    return [0, 1, 2].map((axis) => fraction[axis] * this.grid!.shape[axis] - 0.5) as Vec3;
  }
}

export class SolidView {
  private readonly niivue = new Niivue(OPTIONS);
  private overlay: NVImage | null = null;
  private azimuth = 110;
  private elevation = 15;

  constructor(private readonly canvas: HTMLCanvasElement) {}

  async start(): Promise<void> {
    await this.niivue.attachToCanvas(this.canvas, false);
    this.niivue.setSliceType(SLICE_TYPE.RENDER);
  }

  /** Show a small copy of a volume; `colours` are those of class indices from 1. */
  async show(content: ArrayBuffer, grid: Grid, colours: Vec3[]): Promise<Vec3> {
    await replaceVolume(this.niivue, content, grid);
    const overlay = emptyLike(content);
    this.overlay = await images.new(rotationRemoved(overlay, grid), "labels.nii", "gray", 0.7);
    const table = [[0, 0, 0] as Vec3, ...colours];
    this.overlay.setColormapLabel({
      R: table.map((colour) => colour[0]),
      G: table.map((colour) => colour[1]),
      B: table.map((colour) => colour[2]),
      A: table.map((_, index) => (index === 0 ? 0 : 255)),
      I: table.map((_, index) => index),
      labels: table.map(String),
    });
    this.niivue.addVolume(this.overlay);
    this.niivue.setRenderAzimuthElevation(this.azimuth, this.elevation);
    return this.niivue.volumes[0].dims!.slice(1, 4) as Vec3;
  }

  /** Class index per voxel of the small copy, 0 for nothing. */
  setLabels(labels: Uint8Array): void {
    if (this.overlay === null) return;
    this.overlay.img = labels;
    this.niivue.updateGLVolume();
  }

  setWindow(low: number, high: number): void {
    const volume = this.niivue.volumes[0];
    if (volume === undefined) return;
    volume.cal_min = low;
    volume.cal_max = Math.max(high, low + 1e-6);
    this.niivue.updateGLVolume();
  }

  rotateBy(x: number, y: number): void {
    this.azimuth = (this.azimuth + x) % 360;
    this.elevation = Math.min(Math.max(this.elevation + y, -90), 90);
    this.niivue.setRenderAzimuthElevation(this.azimuth, this.elevation);
  }

  redraw(): void {
    this.niivue.resizeListener();
  }
}

async function replaceVolume(niivue: Niivue, content: ArrayBuffer, grid: Grid): Promise<void> {
  const image = await images.new(rotationRemoved(content, grid), "image.nii", "gray", 1);
  while (niivue.volumes.length > 0) niivue.removeVolume(niivue.volumes[niivue.volumes.length - 1]);
  niivue.addVolume(image);
}

/** The same voxels along x, y and z, at the spacing that the header states. */
function rotationRemoved(content: ArrayBuffer, grid: Grid): ArrayBuffer {
  const header = new DataView(content);
  const shape = [1, 2, 3].map((axis) => header.getInt16(HEADER.dims + 2 * axis, true));
  header.setInt16(HEADER.qform, 0, true);
  header.setInt16(HEADER.sform, 1, true);
  for (let row = 0; row < 3; row++) {
    const step = (grid.spacing[row] * grid.shape[row]) / shape[row];
    for (let column = 0; column < 4; column++) {
      header.setFloat32(HEADER.rows + 4 * (4 * row + column), row === column ? step : 0, true);
    }
  }
  return content;
}

/** A volume of bytes on the same grid. */
function emptyLike(content: ArrayBuffer): ArrayBuffer {
  const given = new DataView(content);
  const count = [1, 2, 3].reduce((product, axis) => product * given.getInt16(HEADER.dims + 2 * axis, true), 1);
  const bytes = new Uint8Array(HEADER.end + count);
  bytes.set(new Uint8Array(content, 0, HEADER.end));
  const header = new DataView(bytes.buffer);
  header.setInt16(HEADER.datatype, 2, true);
  header.setInt16(HEADER.bitpix, 8, true);
  header.setFloat32(HEADER.voxOffset, HEADER.end, true);
  return bytes.buffer;
}
