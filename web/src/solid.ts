/**
 * Everything that knows NiiVue: a small copy of a volume in 3D.
 *
 * NiiVue gets the volume without its rotation, so that its voxels lie along the screen whatever the affine, and handles no
 * events.
 */
import { Niivue, NVImage, SLICE_TYPE } from "@niivue/niivue";
import type { Grid, Vec3 } from "./geometry";

const OPTIONS = {
  interactive: false,
  dragAndDropEnabled: false,
  crosshairWidth: 0,
  show3Dcrosshair: false,
  isOrientationTextVisible: false,
  logLevel: "error" as const,
  backColor: [0.05, 0.06, 0.07, 1] as [number, number, number, number],
};
/** NiiVue declares all twenty arguments as required; the others have the defaults that are wanted. */
const images = NVImage as unknown as {
  new: (content: ArrayBuffer, name: string, colours: string, opacity: number) => Promise<NVImage>;
};
const HEADER = { dims: 40, datatype: 70, bitpix: 72, voxOffset: 108, qform: 252, sform: 254, rows: 280, end: 352 };

export class SolidView {
  private readonly niivue = new Niivue(OPTIONS);
  private overlay: NVImage | null = null;
  private isStarted = false;
  private azimuth = 110;
  private elevation = 15;

  constructor(private readonly canvas: HTMLCanvasElement) {}

  /** Before the first volume, not before the page: it takes a second without a graphics card. */
  private async start(): Promise<void> {
    await this.niivue.attachToCanvas(this.canvas, false);
    this.niivue.setSliceType(SLICE_TYPE.RENDER);
    this.isStarted = true;
  }

  /** Show a small copy of a volume; `colours` are those of class indices from 1. */
  async show(content: ArrayBuffer, grid: Grid, colours: Vec3[]): Promise<Vec3> {
    if (!this.isStarted) await this.start();
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
    if (this.isStarted) this.niivue.resizeListener();
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
