/** The open case: what is placed and painted, what was undone, and what is sent to the server. Knows no page elements. */
import type { CaseInfo, DatasetInfo, Growth, PlacedObject, SliceEdit } from "./api";
import { ask, casePath, download, growth, Queue, Refused } from "./api";
import type { Axis, Grid, Vec3 } from "./geometry";
import { gridOf, rounded, toMm, unitAxes } from "./geometry";
import { nextRole, ROLES } from "./guide";
import { editOf, LabelMap, line, UNANNOTATED, unpainted } from "./labels";

interface Step {
  undo: () => void;
  redo: () => void;
}

export function keyOf(item: PlacedObject): string {
  return `${item.class_name}/${item.object_number}`;
}

/** The role that is asked for; null when all seven points are set. */
function asked(item: PlacedObject | null): string | null {
  return item === null ? ROLES[0] : nextRole(item);
}

export class Session {
  readonly grid: Grid;
  readonly path: string;
  readonly labels: LabelMap;
  objects: PlacedObject[];
  current: PlacedObject | null;
  role: string | null = null;
  absent: string[];
  readonly growths = new Map<string, Growth>();
  readonly problems = new Map<string, string>();
  threshold: number;
  /** Another tab writes to this case. */
  readOnly = false;
  /** Slices of this case are on the screen; nobody knows what is placed or painted before. */
  isShown = false;
  /** A change was refused: what is saved is another than what is shown, and loaded just now. */
  isStale = false;
  private undone: Step[] = [];
  private done: Step[] = [];
  private stroke: { axis: Axis; index: number; before: Uint8Array; last: Vec3 } | null = null;
  private growing = new Map<string, number>();

  constructor(
    readonly info: CaseInfo,
    readonly dataset: DatasetInfo,
    painted: Uint8Array,
    private readonly queue: Queue,
    private readonly changed: () => void,
  ) {
    this.path = casePath(info.name);
    this.grid = gridOf(info.shape, info.affine);
    this.labels = new LabelMap(this.grid, painted);
    this.objects = info.objects.map(({ problem, ...item }) => item);
    this.absent = info.absent;
    this.threshold = dataset.foreground_threshold;
    this.current = this.objects[0] ?? null;
    this.role = asked(this.current);
  }

  /** Grow every object; for when the volume is shown, because the server is busy with it then. */
  growAll(): void {
    this.objects.forEach((item) => void this.grow(item));
  }

  private get canAnnotate(): boolean {
    return this.isShown && !this.readOnly && !this.isStale;
  }

  get canUndo(): boolean {
    return this.done.length > 0;
  }

  get canRedo(): boolean {
    return this.undone.length > 0;
  }

  undo(): void {
    const step = this.canAnnotate ? this.done.pop() : undefined;
    if (step === undefined) return;
    step.undo();
    this.undone.push(step);
  }

  redo(): void {
    const step = this.canAnnotate ? this.undone.pop() : undefined;
    if (step === undefined) return;
    step.redo();
    this.done.push(step);
  }

  choose(item: PlacedObject | null): void {
    this.current = item;
    this.role = asked(item);
    this.changed();
  }

  addObject(className: string): PlacedObject {
    const numbers = this.objects.filter((item) => item.class_name === className).map((item) => item.object_number);
    const item = { class_name: className, object_number: Math.max(0, ...numbers) + 1, points: [], box: null };
    this.objects = [...this.objects, item];
    this.choose(item);
    return item;
  }

  removeObject(item: PlacedObject): void {
    if (this.canAnnotate) this.step(item, { ...item, points: [], box: null }, true);
  }

  /** Place a point of the role that is asked for; a second one of a direction takes the place of the first. */
  place(voxel: Vec3): void {
    if (!this.canAnnotate) return;
    const item = this.current ?? this.addObject(this.dataset.classes[0]);
    const role = this.role ?? "inside";
    const others = role === "inside" ? item.points : item.points.filter((point) => point.role !== role);
    this.step(item, { ...item, points: [...others, { role, mm: toMm(this.grid, voxel) }] });
  }

  /** While a point is dragged it is only shown; `drop` saves it. */
  drag(item: PlacedObject, index: number, voxel: Vec3): PlacedObject {
    const points = item.points.map((point, each) => (each === index ? { ...point, mm: toMm(this.grid, voxel) } : point));
    return this.replace(item, { ...item, points });
  }

  drop(before: PlacedObject, after: PlacedObject): void {
    this.replace(after, before);
    if (this.canAnnotate) this.step(before, after);
  }

  /** Remove the last point of the role that is chosen, or the last one that was placed. */
  removePoint(): void {
    const item = this.current;
    if (item === null || item.points.length === 0 || !this.canAnnotate) return;
    const ofRole = item.points.map((point) => point.role).lastIndexOf(this.role ?? "");
    const index = ofRole >= 0 ? ofRole : item.points.length - 1;
    this.step(item, { ...item, points: item.points.filter((_, each) => each !== index) });
  }

  setBox(low: Vec3, high: Vec3): void {
    if (!this.canAnnotate) return;
    const item = this.current ?? this.addObject(this.dataset.classes[0]);
    const size = high.map((value, axis) => (value - low[axis] + 1) * this.grid.spacing[axis]) as Vec3;
    const center = low.map((value, axis) => (value + high[axis]) / 2) as Vec3;
    this.step(item, { ...item, box: { center_mm: toMm(this.grid, center), axes: unitAxes(this.grid), size_mm: size } });
  }

  removeBox(): void {
    if (this.current !== null && this.current.box !== null && this.canAnnotate) {
      this.step(this.current, { ...this.current, box: null });
    }
  }

  setAbsent(classes: string[]): void {
    if (!this.canAnnotate) return;
    this.absent = classes;
    void this.queue.add("PUT", `${this.path}/absent`, { classes });
    this.changed();
  }

  beginStroke(axis: Axis, voxel: Vec3, radiusMm: number, value: number): void {
    if (!this.canAnnotate) return;
    const at = rounded(voxel);
    this.stroke = { axis, index: at[axis], before: this.labels.slice(axis, at[axis]), last: at };
    this.continueStroke(at, radiusMm, value);
  }

  continueStroke(voxel: Vec3, radiusMm: number, value: number): void {
    const { stroke } = this;
    if (stroke === null) return;
    const to = rounded(voxel);
    to[stroke.axis] = stroke.index;
    for (const each of line(stroke.last, to)) this.labels.dab(stroke.axis, each, radiusMm, value);
    stroke.last = to;
    this.changed();
  }

  endStroke(): void {
    const { stroke } = this;
    if (stroke === null) return;
    this.stroke = null;
    const after = this.labels.slice(stroke.axis, stroke.index);
    this.paintStep(stroke.axis, [{ index: stroke.index, before: stroke.before, after }]);
  }

  /** Everything in a slice that nobody annotated becomes background, or what is given. */
  completeSlice(axis: Axis, index: number, rest?: Uint8Array): void {
    if (!this.canAnnotate) return;
    const before = this.labels.slice(axis, index);
    const after = before.map((value, at) => (value === UNANNOTATED ? (rest?.[at] ?? 0) : value));
    this.paintStep(axis, [{ index, before, after }]);
  }

  isComplete(axis: Axis, index: number): boolean {
    return !this.labels.slice(axis, index).includes(UNANNOTATED);
  }

  /** Interpolate a class between the slices on which it is painted. The server does it. */
  async fillBetween(axis: Axis, classIndex: number): Promise<void> {
    if (!this.canAnnotate) return;
    await this.queue.saved();
    const { slices } = await ask<{ slices: SliceEdit[] }>("POST", `${this.path}/painted/between`, {
      axis,
      class_index: classIndex,
    });
    const changes = slices.map(({ index, runs }) => {
      const before = this.labels.slice(axis, index);
      const after = before.slice();
      for (const [start, length, value] of runs) after.fill(value, start, start + length);
      return { index, before, after };
    });
    this.paintStep(axis, changes);
  }

  /** Grow an object again, unless it lacks points; what looks wrong about it is kept as its problem. */
  async grow(item: PlacedObject): Promise<void> {
    const key = keyOf(item);
    const turn = (this.growing.get(key) ?? 0) + 1;
    this.growing.set(key, turn);
    this.problems.delete(key);
    if (nextRole(item) !== null) {
      this.growths.delete(key);
      this.changed();
      return;
    }
    await this.queue.saved();
    for (const wanted of ["preview", "exact"] as const) {
      if (wanted === "exact" && this.growths.get(key)?.exact) return;
      try {
        const grown = await growth(this.path, item, this.threshold, wanted);
        if (this.growing.get(key) !== turn) return;
        this.growths.set(key, grown);
        this.problems.delete(key);
      } catch (error) {
        if (this.growing.get(key) !== turn) return;
        this.growths.delete(key);
        if (error instanceof Refused) this.problems.set(key, error.message);
      }
      this.changed();
    }
  }

  /** Ask what is wrong at the present threshold. */
  async judge(): Promise<void> {
    for (const item of this.objects) {
      const grown = this.growths.get(keyOf(item));
      if (grown === undefined) continue;
      try {
        const { warnings } = await growth(this.path, item, this.threshold, "warnings");
        this.growths.set(keyOf(item), { ...grown, warnings });
      } catch (error) {
        if (!(error instanceof Refused)) throw error; // the object was changed meanwhile, and grows anew
      }
    }
    this.changed();
  }

  private step(before: PlacedObject, after: PlacedObject, remove = false): void {
    this.remember({ undo: () => this.save(before, false), redo: () => this.save(after, remove) });
    this.save(after, remove);
  }

  private save(item: PlacedObject, remove: boolean): void {
    if (remove) {
      this.objects = this.objects.filter((each) => keyOf(each) !== keyOf(item));
      this.current = this.objects[this.objects.length - 1] ?? null;
    } else {
      this.current = this.replace(item, item);
    }
    this.role = asked(this.current);
    const isEmpty = item.points.length === 0 && item.box === null;
    if (isEmpty) {
      const query = new URLSearchParams({ class_name: item.class_name, object_number: String(item.object_number) });
      void this.queue.add("DELETE", `${this.path}/objects?${query.toString()}`);
    } else {
      void this.queue.add("PUT", `${this.path}/objects`, item);
    }
    void this.grow(item);
    this.changed();
  }

  private replace(old: PlacedObject, item: PlacedObject): PlacedObject {
    const known = this.objects.some((each) => keyOf(each) === keyOf(old));
    this.objects = known
      ? this.objects.map((each) => (keyOf(each) === keyOf(old) ? item : each))
      : [...this.objects, item];
    if (this.current !== null && keyOf(this.current) === keyOf(old)) this.current = item;
    return item;
  }

  private paintStep(axis: Axis, changes: { index: number; before: Uint8Array; after: Uint8Array }[]): void {
    const real = changes.filter(({ before, after }) => before.some((value, at) => value !== after[at]));
    if (real.length === 0) return;
    const apply = (from: "before" | "after", to: "before" | "after") => {
      for (const change of real) this.labels.setSlice(axis, change.index, change[to]);
      const slices = real.map((change) => editOf(axis, change.index, change[from], change[to]));
      void this.queue.add("PATCH", `${this.path}/painted`, { slices });
      this.changed();
    };
    this.remember({ undo: () => apply("after", "before"), redo: () => apply("before", "after") });
    apply("before", "after");
  }

  private remember(step: Step): void {
    this.done.push(step);
    this.undone = [];
  }
}

export async function loadSession(
  info: CaseInfo,
  dataset: DatasetInfo,
  queue: Queue,
  changed: () => void,
  signal?: AbortSignal,
): Promise<Session> {
  const sent = new Uint8Array(await download(`${casePath(info.name)}/painted`, signal));
  const painted = sent.length > 0 ? sent : unpainted(info.shape);
  return new Session(info, dataset, painted, queue, changed);
}

