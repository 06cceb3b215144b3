/** The server's API, and a queue that loses nothing: what is not answered is sent again, also after the page was closed. */
import type { Vec3 } from "./geometry";

export type State = "unannotated" | "in progress" | "done" | "flagged";

export interface PlacedPoint {
  role: string;
  mm: Vec3;
}

export interface Box {
  center_mm: Vec3;
  axes: [Vec3, Vec3, Vec3];
  size_mm: Vec3;
}

export interface PlacedObject {
  class_name: string;
  object_number: number;
  points: PlacedPoint[];
  box: Box | null;
}

export interface SavedObject extends PlacedObject {
  problem: string;
}

export interface DatasetInfo {
  name: string;
  set_name: string;
  set_id: string;
  protocol: string;
  classes: string[];
  channels: string[];
  foreground_threshold: number;
  background_threshold: number;
  is_review: boolean;
}

export interface CaseInfo {
  name: string;
  state: State;
  shape: Vec3;
  affine: number[][];
  absent: string[];
  objects: SavedObject[];
}

export interface Growth {
  start: Vec3;
  shape: Vec3;
  levels: Uint8Array;
  threshold: number;
  background_threshold: number;
  warnings: string[];
  exact: boolean;
}

/** What is wanted of a growth: at once, exact, or only what is wrong about it. */
export type Wanted = "preview" | "exact" | "warnings";

export interface SliceEdit {
  axis: number;
  index: number;
  runs: [number, number, number][];
}

/** The server said no; the text is a sentence for the user. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    sentence: string,
  ) {
    super(sentence);
  }
}

/** New with every load of the page, so that a duplicated tab is another writer. */
export const client = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16)).join("");

export async function ask<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
  return (await request(method, path, body)).json() as Promise<Answer>;
}

export async function download(path: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  return (await request("GET", path, undefined, signal)).arrayBuffer();
}

/** Bytes `start` to `stop` of a file, and how many there are in all. */
export async function downloadPart(
  path: string,
  start: number,
  stop: number,
  signal: AbortSignal,
): Promise<{ content: Uint8Array; total: number }> {
  const answer = await request("GET", path, undefined, signal, { Range: `bytes=${start}-${stop - 1}` });
  const total = Number(answer.headers.get("content-range")!.split("/")[1]);
  return { content: new Uint8Array(await answer.arrayBuffer()), total };
}

export function casePath(name: string): string {
  return `/api/cases/${encodeURIComponent(name)}`;
}

export async function growth(path: string, item: PlacedObject, threshold: number, wanted: Wanted): Promise<Growth> {
  const { class_name, object_number } = item;
  const body = { class_name, object_number, threshold, with_levels: wanted !== "warnings", preview: wanted === "preview" };
  const answer = await ask<Growth & { levels: unknown }>("POST", `${path}/growth`, body);
  const text = atob(answer.levels as unknown as string);
  const levels = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) levels[index] = text.charCodeAt(index);
  return { ...answer, levels };
}

/** Let others write to a case, also while the page is being closed. */
export function release(path: string): void {
  void fetch(`${path}/release`, init("POST", { client }, { keepalive: true })).catch(() => undefined);
}

function init(method: string, body: unknown, more: RequestInit = {}, wanted: Record<string, string> = {}): RequestInit {
  const headers: Record<string, string> = { "X-Voxseed-Client": client, ...wanted };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return { method, headers, body: body === undefined ? undefined : JSON.stringify(body), ...more };
}

async function request(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
  headers: Record<string, string> = {},
): Promise<Response> {
  const response = await fetch(path, init(method, body, { signal }, headers));
  if (!response.ok) throw new Refused(response.status, await sentence(response));
  return response;
}

async function sentence(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const { detail } = JSON.parse(text) as { detail: unknown };
    return typeof detail === "string" ? detail : `Not understood by the server: ${JSON.stringify(detail)}`;
  } catch {
    return text;
  }
}

interface Change {
  method: string;
  path: string;
  body: unknown;
}

/** Another tab writes to the case. */
export function isTaken(error: unknown): error is Refused {
  return error instanceof Refused && error.status === 409;
}

const RETRY_MS = [500, 1000, 2000, 4000];
const FULL_OR_UNWRITABLE = 507;

/** Why a change may be saved later; empty if it is refused for good. */
export function whyLater(error: unknown): string {
  const status = error instanceof Refused ? error.status : 0;
  if (status === 401) return "Voxseed was started anew: open the address that it printed.";
  if (status === FULL_OR_UNWRITABLE) return `${(error as Refused).message} Trying again.`;
  return status === 0 || status >= 500 ? "No answer from Voxseed; trying again." : "";
}

/** Changes of one annotation set in order, one at a time; kept by the browser until the server has answered. */
export class Queue {
  /** Every page has a key of its own, so that none overwrites what another could not save. */
  private readonly key: string;
  private readonly setKey: string;
  /** How many changes were refused for good. */
  refusals = 0;
  private changes: Change[] = [];
  private idle: Promise<void> = Promise.resolve();
  private busy = false;

  constructor(
    setId: string,
    private readonly onStatus: (unsaved: number, problem: string) => void,
    private readonly onRefused: (error: Refused, path: string) => void,
  ) {
    this.setKey = `voxseed-unsaved-${setId}`;
    this.key = `${this.setKey}-${client}`;
  }

  get unsaved(): number {
    return this.changes.length;
  }

  /** What other pages of this browser have not saved: how many changes of each case. */
  lost(): Map<string, number> {
    const found = new Map<string, number>();
    for (const change of this.otherKeys().flatMap(kept)) found.set(caseOf(change), (found.get(caseOf(change)) ?? 0) + 1);
    return found;
  }

  /**
   * Send what other pages have not saved of a case, before anything else is changed in it. Only the writer of the case may
   * do so. Returns how many changes there were.
   */
  adopt(path: string): number {
    let count = 0;
    for (const key of this.otherKeys()) {
      const changes = kept(key);
      const wanted = changes.filter((change) => caseOf(change) === path);
      if (wanted.length === 0) continue;
      count += wanted.length;
      this.changes.push(...wanted);
      this.keep(); // before they are removed there
      keepAs(key, changes.filter((change) => caseOf(change) !== path));
    }
    if (count > 0 && !this.busy) this.idle = this.work();
    return count;
  }

  add(method: string, path: string, body?: unknown): Promise<void> {
    this.changes.push({ method, path, body });
    this.keep();
    if (!this.busy) this.idle = this.work();
    return this.idle;
  }

  /** When everything so far is saved. */
  saved(): Promise<void> {
    return this.idle;
  }

  private async work(): Promise<void> {
    this.busy = true;
    let failures = 0;
    while (this.changes.length > 0) {
      const { method, path, body } = this.changes[0];
      try {
        this.onStatus(this.changes.length, "");
        await ask(method, path, body);
      } catch (error) {
        const reason = whyLater(error);
        if (reason !== "") {
          this.onStatus(this.changes.length, reason);
          await new Promise((done) => setTimeout(done, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]));
          continue;
        }
        this.refusals += 1;
        this.onRefused(error as Refused, path);
      }
      failures = 0;
      this.changes.shift();
      this.keep();
    }
    this.busy = false;
    this.onStatus(0, "");
  }

  private keep(): void {
    keepAs(this.key, this.changes);
  }

  /** Also the one key that all pages of a set once shared. */
  private otherKeys(): string[] {
    return Object.keys(localStorage).filter((key) => key.startsWith(this.setKey) && key !== this.key);
  }
}

function kept(key: string): Change[] {
  return JSON.parse(localStorage.getItem(key) ?? "[]") as Change[];
}

function keepAs(key: string, changes: Change[]): void {
  try {
    if (changes.length === 0) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(changes));
  } catch {
    // The browser's store is full or off: the changes are in memory, and leaving the page asks first.
  }
}

/** The case that a change belongs to, as `casePath` has it. */
function caseOf({ path }: Change): string {
  return path.split("/").slice(0, 4).join("/");
}
