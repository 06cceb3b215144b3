/** The page: opens cases, and joins the session, the views, the panel and the keys. */
import type { CaseInfo, DatasetInfo, State } from "./api";
import { ask, casePath, client, download, isTaken, Queue, Refused, release, whyLater } from "./api";
import { type Arriving, receive } from "./arriving";
import { colour } from "./guide";
import { bindKeys } from "./keys";
import { Panel } from "./panel";
import { Review, type ReviewedCase, type Verdict } from "./review";
import { ReviewPanel } from "./review_panel";
import { loadSession, type Session } from "./session";
import { Stage } from "./stage";

const HEARTBEAT_MS = 10_000;
const PREDICTING_MS = 2_000;

export interface ListedCase {
  name: string;
  state: State;
}

export class App {
  readonly stage: Stage;
  readonly panel: Panel;
  readonly queue: Queue;
  /** Null where nothing is reviewed, only annotated. */
  readonly review: Review | null;
  readonly reviewPanel: ReviewPanel | null;
  session: Session | null = null;
  cases: (ListedCase | ReviewedCase)[] = [];
  channel = 0;
  /** Why changes of another page are not saved yet; empty if there are none. */
  lostProblem = "";
  private isRecovering = false;
  /** The case that was asked for last. */
  private wanted = "";
  private opening = new AbortController();
  private arriving = new AbortController();

  constructor(readonly dataset: DatasetInfo) {
    this.queue = new Queue(
      dataset.set_id,
      (unsaved, problem) => this.panel.showSaved(unsaved, problem),
      (error, path) => this.changeRefused(error, path),
    );
    this.review = dataset.is_review ? new Review() : null;
    this.stage = new Stage(this);
    this.panel = new Panel(this);
    this.reviewPanel = this.review === null ? null : new ReviewPanel(this, this.review);
    if (this.review !== null) this.stage.mode = "look";
  }

  async start(): Promise<void> {
    this.stage.start();
    bindKeys(this);
    await this.refreshCases();
    setInterval(() => {
      void this.heartbeat();
      void this.recover();
    }, HEARTBEAT_MS);
    if (this.review !== null) setInterval(() => void this.follow(), PREDICTING_MS);
    window.addEventListener("pagehide", () => {
      if (this.session !== null && !this.session.readOnly) release(this.session.path);
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.queue.unsaved > 0) event.preventDefault();
    });
    window.addEventListener("hashchange", () => void this.openNamed());
    await this.openNamed();
    await this.recover();
  }

  async refreshCases(): Promise<void> {
    if (this.review === null) this.cases = await ask<ListedCase[]>("GET", "/api/cases");
    else await this.review.refresh();
    this.listCases();
  }

  /** Open a case as its writer, or only to look if another tab writes to it. */
  async open(name: string, takeOver = false): Promise<void> {
    this.opening.abort();
    const { signal } = (this.opening = new AbortController());
    this.wanted = name;
    await this.leave();
    if (signal.aborted) return;
    history.replaceState(null, "", `#${encodeURIComponent(name)}`);
    this.panel.showLoading(`Loading ${name}…`);
    const path = casePath(name);
    try {
      const readOnly = !(await this.claim(name, takeOver, signal));
      if (!readOnly && !signal.aborted) await this.sendLost(path);
      if (!signal.aborted) await this.load(path, readOnly, signal);
    } catch (error) {
      if (!signal.aborted) this.panel.showLoading(sentenceOf(error));
    }
    if (name !== this.wanted && this.session?.path !== path) release(path); // another one was asked for meanwhile
  }

  private async load(path: string, readOnly: boolean, signal: AbortSignal): Promise<void> {
    const arriving = this.fetchChannel(path, this.channel);
    const info = await ask<CaseInfo>("GET", path);
    const session = await loadSession(info, this.dataset, this.queue, () => this.refresh(), signal);
    if (signal.aborted) return;
    session.readOnly = readOnly;
    this.session = session;
    const predicted = this.review?.load(info.name, session.grid, signal);
    await Promise.all([this.showChannel(arriving), this.lookFirst(arriving.begun, predicted, signal)]);
    if (signal.aborted) return;
    this.panel.showLoading("");
    this.session.growAll(); // which may be loaded again by now
    this.refresh();
    this.prefetch(info.name);
  }

  /** Go where the prediction is doubted once slices are shown, unless somebody has gone elsewhere before it is there. */
  private async lookFirst(begun: Promise<unknown>, predicted: Promise<unknown> | undefined, signal: AbortSignal): Promise<void> {
    const shown = begun.then(() => this.stage.cursor, () => null); // what is wrong is told with the slices
    const [cursor] = await Promise.all([shown, predicted]);
    if (signal.aborted || predicted === undefined) return;
    if (this.stage.cursor === cursor) this.lookWhereDoubted();
    this.refresh();
  }

  /** Show another channel of the open case. */
  async chooseChannel(channel: number): Promise<void> {
    const { session } = this;
    if (session === null) return;
    try {
      await this.showChannel(this.fetchChannel(session.path, channel));
      this.panel.showLoading(""); // what was wrong with the channel before
    } catch (error) {
      this.panel.announce(sentenceOf(error), true);
      this.panel.showChannel();
    }
  }

  /** Slices are shown as soon as the middle of the volume is there, unless another channel is wanted by then. */
  private async showChannel({ channel, begun, whole, coarse, signal }: ArrivingChannel): Promise<void> {
    try {
      const content = await begun;
      const { session } = this;
      if (signal.aborted || session === null) return;
      this.channel = channel;
      session.isShown = true;
      this.stage.show(content, session.grid);
      this.panel.showChannel();
      this.panel.showWindow();
      this.panel.show();
      const [small] = await Promise.all([coarse, whole]);
      if (signal.aborted) return;
      const colours = this.dataset.classes.map((_, index) => colour(index + 1));
      this.stage.completed(small, colours);
      this.panel.showWindow();
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** A channel begins to arrive; one that was asked for before is not wanted any more. */
  private fetchChannel(path: string, channel: number): ArrivingChannel {
    this.arriving.abort();
    this.arriving = new AbortController();
    return downloadChannel(path, channel, this.arriving.signal);
  }

  /** The next or previous case of the list. */
  async step(by: number): Promise<void> {
    const at = this.cases.findIndex((each) => each.name === this.session?.info.name);
    const next = this.cases[Math.min(Math.max(at + by, 0), this.cases.length - 1)];
    if (next !== undefined && next.name !== this.session?.info.name) await this.open(next.name);
  }

  async setState(wanted: State): Promise<void> {
    const { session } = this;
    if (session === null || session.readOnly) return;
    const state = this.stateOf(session.info.name) === wanted ? "in progress" : wanted;
    await this.queue.add("PUT", `${session.path}/state`, { state });
    await this.refreshCases();
    this.refresh();
  }

  /** Say what is thought of the prediction that is looked at; said twice, it is taken back. */
  async judge(wanted: Verdict): Promise<void> {
    const { session, review } = this;
    const shown = review?.shown ?? null;
    if (session === null || shown === null || session.readOnly) return;
    const verdict = review?.find(session.info.name)?.verdict === wanted ? "undecided" : wanted;
    await this.queue.add("PUT", `${session.path}/verdict`, { verdict, prediction: shown.prediction });
    await this.refreshCases();
    this.refresh();
  }

  /** Open the case without annotation that is expected to be predicted worst. */
  async annotateNext(): Promise<void> {
    if (this.review === null) return;
    await this.queue.saved();
    try {
      const proposal = await this.review.next();
      if (proposal.case !== null && proposal.case !== this.session?.info.name) await this.open(proposal.case);
      if (proposal.case !== null) this.stage.setMode("points");
      this.panel.announce(proposal.case === null ? proposal.reason : `${proposal.case}: ${proposal.reason}`);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.panel.announce(error.message, true);
    }
  }

  lookWhereDoubted(): void {
    const place = this.review?.shown?.place ?? null;
    if (place !== null) this.stage.goTo(place);
  }

  /** While cases are being predicted: the list, and the prediction of the open case once it is there. */
  private async follow(): Promise<void> {
    const { review, session } = this;
    if (review === null || !review.info.is_predicting) return;
    try {
      if (!(await review.refresh())) return;
      this.listCases();
      if (session === null || review.isLoading || review.find(session.info.name)?.prediction === (review.shown?.prediction ?? "")) return;
      if ((await review.load(session.info.name, session.grid)) && session === this.session) this.refresh();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // no answer: asked again
    }
  }

  stateOf(name: string): State {
    return this.cases.find((each) => each.name === name)?.state ?? "unannotated";
  }

  refresh(): void {
    this.stage.changed();
    this.panel.show();
  }

  private listCases(): void {
    if (this.review !== null) this.cases = this.review.info.cases;
    this.panel.showCases();
    this.panel.showGuide(); // which names the verdict
    this.reviewPanel?.show();
  }

  private async openNamed(): Promise<void> {
    const wanted = decodeURIComponent(location.hash.slice(1));
    if (wanted === this.session?.info.name) return;
    const named = this.cases.find((each) => each.name === wanted);
    const undecided = this.review?.info.cases.find((each) => each.prediction !== "" && each.verdict === "undecided");
    const first = named ?? undecided ?? this.cases.find((each) => each.state !== "done") ?? this.cases[0];
    if (first !== undefined) await this.open(first.name);
  }

  private async leave(): Promise<void> {
    const { session } = this;
    await this.queue.saved();
    this.arriving.abort();
    if (session === null) return;
    if (!session.readOnly) release(session.path);
    this.session = null;
    this.review?.leave();
    this.stage.clear();
    this.panel.show();
    this.panel.showChannel();
    await this.refreshCases();
  }

  private async claim(name: string, takeOver: boolean, signal: AbortSignal): Promise<boolean> {
    try {
      await ask("POST", `${casePath(name)}/claim`, { client, take_over: takeOver });
      return true;
    } catch (error) {
      if (!isTaken(error)) throw error;
      if (!signal.aborted) void this.panel.askToTakeOver(error.message, signal).then((take) => (take ? this.open(name, true) : undefined));
      return false;
    }
  }

  /** Send what earlier pages could not. Where another tab writes, that is tried again with every heartbeat. */
  private async recover(): Promise<void> {
    if (this.isRecovering) return;
    this.isRecovering = true;
    let problem = "";
    for (const [path, count] of this.queue.lost()) {
      if (this.isWriting(path)) continue; // sent when it was opened
      try {
        await this.recoverCase(path);
      } catch (error) {
        problem = `${changes(count)} of another page not saved yet: ${sentenceOf(error)}`;
      }
    }
    this.isRecovering = false;
    if (problem === this.lostProblem) return;
    this.lostProblem = problem;
    if (this.queue.unsaved === 0) this.panel.showSaved(0, "");
  }

  private async recoverCase(path: string): Promise<void> {
    try {
      await ask("POST", `${path}/claim`, { client });
    } catch (error) {
      if (isTaken(error) || whyLater(error) !== "") throw error;
    }
    await this.sendLost(path); // also what is refused for good, so that it is said
    if (this.isWriting(path)) return;
    release(path);
    if (this.session?.path === path) await this.reload(this.session);
  }

  private async sendLost(path: string): Promise<void> {
    const { refusals } = this.queue;
    const count = this.queue.adopt(path);
    await this.queue.saved();
    if (count > 0 && refusals === this.queue.refusals) {
      this.panel.announce(`Saved now: ${changes(count)} that an earlier page could not save.`);
    }
  }

  /** Whether this page writes to a case, or is about to. */
  private isWriting(path: string): boolean {
    return path === casePath(this.wanted) && this.session?.readOnly !== true;
  }

  private async heartbeat(): Promise<void> {
    const { session } = this;
    if (session === null || session.readOnly) return;
    try {
      await ask("POST", `${session.path}/claim`, { client });
    } catch (error) {
      if (isTaken(error)) this.refused(error);
    }
  }

  private changeRefused(error: Refused, path: string): void {
    this.refused(error);
    if (this.session !== null && path.startsWith(`${this.session.path}/`)) void this.reload(this.session);
  }

  /** Show what is saved of the open case, because what is shown is not. */
  private async reload(session: Session): Promise<void> {
    session.isStale = true;
    await this.queue.saved();
    try {
      const info = await ask<CaseInfo>("GET", session.path);
      const saved = await loadSession(info, this.dataset, this.queue, () => this.refresh());
      if (session !== this.session) return;
      [saved.readOnly, saved.isShown, saved.threshold] = [session.readOnly, session.isShown, session.threshold];
      this.session = saved;
      saved.growAll();
      this.refresh();
    } catch (error) {
      if (session === this.session) this.panel.showLoading(sentenceOf(error));
    }
  }

  private refused(error: Refused): void {
    if (isTaken(error) && this.session !== null) this.session.readOnly = true;
    this.panel.announce(error.message, true);
    this.refresh();
  }

  /** The server reads the next case while this one is annotated. */
  private prefetch(name: string): void {
    const next = this.cases[this.cases.findIndex((each) => each.name === name) + 1];
    if (next === undefined) return;
    setTimeout(() => void download(`${casePath(next.name)}/channels/${this.channel}?coarse=true`).catch(() => undefined), 1500);
  }
}

function changes(count: number): string {
  return count === 1 ? "1 change" : `${count} changes`;
}

/** What went wrong, for the user. What is neither a refusal nor a missing answer is a defect, and thrown on. */
function sentenceOf(error: unknown): string {
  if (error instanceof Refused) return error.message;
  if (error instanceof TypeError) return "No answer from Voxseed.";
  throw error;
}

interface ArrivingChannel extends Arriving {
  channel: number;
  coarse: Promise<ArrayBuffer>;
  /** Aborted when something else is wanted. */
  signal: AbortSignal;
}

/** A channel and its small copy. */
function downloadChannel(path: string, channel: number, signal: AbortSignal): ArrivingChannel {
  const address = `${path}/channels/${channel}`;
  const found = { ...receive(address, signal), coarse: download(`${address}?coarse=true`, signal) };
  for (const each of Object.values(found)) each.catch(() => undefined); // told where it is awaited
  return { ...found, channel, signal };
}

const app = new App(await ask<DatasetInfo>("GET", "/api/dataset"));
Object.assign(globalThis, { voxseed: app }); // for whoever drives the page from the console or a test
await app.start();
