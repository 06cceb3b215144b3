/** Everything beside the slices: cases, objects, points, growth, brush, display. */
import type { State } from "./api";
import { BACKGROUND_COLOUR, colour, css, MARKS, nextRole, objectName, ROLES, sentence } from "./guide";
import { UNANNOTATED } from "./labels";
import type { App, ListedCase } from "./main";
import { reviewedRow } from "./review_panel";
import { keyOf } from "./session";
import type { Mode } from "./stage";

const STATE_MARKS: Record<State, [string, string]> = {
  unannotated: ["○", ""],
  "in progress": ["◐", "begun"],
  done: ["✓", "done"],
  flagged: ["⚑", "flagged"],
};
const ANNOUNCED_MS = 6000;

export function find<Kind extends HTMLElement>(selector: string): Kind {
  return document.querySelector<Kind>(selector)!;
}

export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Partial<HTMLElementTagNameMap[Name]>,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

export function pressed(button: HTMLElement, is: boolean): void {
  button.setAttribute("aria-pressed", String(is));
}

/** A row of the list of cases. */
function annotatedRow({ name, state }: ListedCase): HTMLElement {
  const [mark, kind] = STATE_MARKS[state];
  return make(
    "button",
    { title: `${name}: ${state}` },
    make("span", { className: `mark ${kind}`, textContent: mark, ariaHidden: "true" }),
    make("span", { className: "name", textContent: name }),
    make("span", { className: "hidden", textContent: state }),
  );
}

export class Panel {
  /** The open case when the list was last made. */
  private listed: string | undefined;
  private announced = "";
  private isProblem = false;
  private timer = 0;

  constructor(private readonly app: App) {
    const { dataset } = app;
    find("#dataset").textContent = dataset.name;
    document.title = `${dataset.name}: annotate`;
    find("#new-class").append(...dataset.classes.map((name) => make("option", { value: name, textContent: name })));
    find("#channel").append(
      ...dataset.channels.map((name, index) => make("option", { value: String(index), textContent: name })),
    );
    find("#channel-row").hidden = dataset.channels.length < 2;
    this.bind();
  }

  showCases(): void {
    const wanted = find<HTMLInputElement>("#filter").value.toLowerCase();
    const { cases, session } = this.app;
    const done = cases.filter((each) => each.state === "done").length;
    find("#progress").textContent = `${done} of ${cases.length} cases done`;
    const rows = cases.filter((each) => each.name.toLowerCase().includes(wanted)).map((each) => {
      const button = "verdict" in each ? reviewedRow(each) : annotatedRow(each);
      if (each.name === session?.info.name) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => void this.app.open(each.name));
      return make("li", {}, button);
    });
    const list = find("#cases");
    const focused = list.contains(document.activeElement) ? document.activeElement?.querySelector(".name")?.textContent : undefined;
    list.replaceChildren(...rows);
    if (focused !== undefined) rows.find((row) => row.querySelector(".name")?.textContent === focused)?.querySelector("button")?.focus();
    if (session?.info.name !== this.listed) find("#cases [aria-current]")?.scrollIntoView({ block: "nearest" });
    this.listed = session?.info.name;
  }

  showLoading(text: string): void {
    find("#loading").hidden = text === "";
    find("#loading").textContent = text;
    this.showCases();
  }

  showSaved(unsaved: number, problem: string): void {
    const element = find("#saved");
    const { lostProblem } = this.app;
    element.textContent = problem !== "" ? `${unsaved} not saved. ${problem}` : unsaved > 0 ? "Saving…" : lostProblem || "All saved";
    element.className = problem === "" && lostProblem === "" ? "quiet" : "warning";
    if (unsaved === 0) void this.app.refreshCases();
  }

  /** A sentence in place of the guidance, for some seconds. */
  announce(text: string, isProblem = false): void {
    [this.announced, this.isProblem] = [text, isProblem];
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.announced = "";
      this.showGuide();
    }, ANNOUNCED_MS);
    this.showGuide();
  }

  show(): void {
    const { session, stage } = this.app;
    const state = session === null ? "unannotated" : this.app.stateOf(session.info.name);
    find("#case").textContent = session?.info.name ?? "No case open";
    find<HTMLButtonElement>("#undo").disabled = !session?.canUndo;
    find<HTMLButtonElement>("#redo").disabled = !session?.canRedo;
    pressed(find("#done"), state === "done");
    if (this.app.review === null) pressed(find("#flag"), state === "flagged");
    pressed(find("#layout"), stage.large);
    pressed(find("#in-3d"), stage.in3D);
    document.querySelectorAll<HTMLElement>("[data-mode]").forEach((each) => pressed(each, each.dataset.mode === stage.mode));
    find("#paint-section").hidden = stage.mode !== "paint";
    const onlyLooks = this.app.review !== null && stage.mode === "look";
    find("#objects-section").hidden = onlyLooks;
    find("#roles-section").hidden = find("#growth-section").hidden = stage.mode === "paint" || onlyLooks;
    find("#solid").classList.toggle("away", !stage.isSolid);
    this.showGuide();
    this.showObjects();
    this.showRoles();
    this.showGrowth();
    this.showBrush();
    this.showSlice();
    this.app.reviewPanel?.show();
  }

  showSlice(): void {
    const { session, stage } = this.app;
    if (session === null || stage.mode !== "paint") return;
    const complete = session.isComplete(stage.active, stage.cursor[stage.active]);
    const button = find<HTMLButtonElement>("#complete");
    button.disabled = complete || session.readOnly;
    button.textContent = complete ? "Slice is complete" : "Slice complete";
  }

  showChannel(): void {
    find<HTMLSelectElement>("#channel").value = String(this.app.channel);
  }

  showWindow(): void {
    const { window: shown, range } = this.app.stage;
    const [low, high] = shown;
    const [least, most] = range;
    const span = Math.max(most - least, 1e-6);
    const set = (name: string, value: number, min: number, max: number) => {
      const input = find<HTMLInputElement>(`#${name}`);
      Object.assign(input, { min: String(min), max: String(max), value: String(value) });
      find(`#${name}-value`).textContent = Math.abs(span) < 20 ? value.toFixed(2) : value.toFixed(0);
    };
    set("level", (low + high) / 2, least, most);
    set("width", high - low, span / 500, span);
  }

  /** Whether to take over a case; the signal withdraws the question, so that its answer is never of another case. */
  askToTakeOver(text: string, signal: AbortSignal): Promise<boolean> {
    const dialog = find<HTMLDialogElement>("#taken");
    find("#taken-text").textContent = text;
    dialog.showModal();
    signal.addEventListener("abort", () => dialog.close(""));
    return new Promise((answer) => {
      find("#take-over").onclick = () => {
        dialog.close("take");
      };
      find("#only-look").onclick = () => dialog.close("");
      dialog.onclose = () => {
        answer(dialog.returnValue === "take");
        dialog.returnValue = "";
      };
    });
  }

  showHelp(keys: [string, string][]): void {
    find("#keys").replaceChildren(
      ...keys.flatMap(([key, meaning]) => [make("kbd", { textContent: key }), make("span", { textContent: meaning })]),
    );
    find<HTMLDialogElement>("#help").showModal();
  }

  showGuide(): void {
    const { session, stage, dataset } = this.app;
    const guide = find("#guide");
    guide.className = "";
    if (this.announced !== "") {
      guide.textContent = this.announced;
      guide.classList.toggle("problem", this.isProblem);
    } else if (session === null) {
      guide.textContent = "";
    } else if (session.readOnly) {
      guide.textContent = "Only looking: another tab writes to this case.";
    } else if (stage.mode === "points") {
      const { current, role } = session;
      const name = current === null ? dataset.classes[0] : objectName(current);
      const finished = current !== null && nextRole(current) === null;
      guide.classList.toggle("finished", finished);
      guide.textContent =
        finished && role === null
          ? `${name}: all seven points are set. Add points inside if you like. O: another object.${this.app.review === null ? " D: done." : ""}`
          : `${name}: ${sentence(role ?? ROLES[0], dataset.protocol === "extreme-points")}`;
    } else if (stage.mode === "paint") {
      guide.textContent =
        this.app.review === null
          ? "Paint with the left button. Unpainted voxels stay unannotated."
          : "Paint what is predicted wrongly; the rest stays unannotated. S: rest of the slice as predicted.";
    } else if (stage.mode === "box") {
      guide.textContent = "Drag a rectangle around the object; a second one in another view sets the third side.";
    } else if (this.app.reviewPanel !== null) {
      const { text, finished, problem } = this.app.reviewPanel.guide();
      guide.textContent = text;
      guide.classList.toggle("finished", finished);
      guide.classList.toggle("problem", problem);
    } else {
      guide.textContent = "Click or drag to move. The wheel scrolls, the right button changes window and level.";
    }
  }

  private showObjects(): void {
    const { session, dataset } = this.app;
    if (session === null) {
      find("#objects").replaceChildren();
      find("#absent").replaceChildren();
      return;
    }
    const rows = session.objects.map((item) => {
      const swatch = make("span", { className: "swatch" });
      swatch.style.background = css(colour(dataset.classes.indexOf(item.class_name) + 1));
      const found = ROLES.filter((role) => item.points.some((point) => point.role === role)).length;
      const count = found > 0 ? `${found}/7` : item.box !== null ? "box" : "0/7";
      const name = make("span", { textContent: objectName(item) });
      const choose = make("button", { className: "choose" }, swatch, name, make("span", { className: "count", textContent: count }));
      pressed(choose, item === session.current);
      choose.addEventListener("click", () => session.choose(item));
      const remove = make("button", { className: "remove", textContent: "×", title: `Remove ${objectName(item)}` });
      remove.setAttribute("aria-label", remove.title);
      remove.disabled = session.readOnly;
      remove.addEventListener("click", () => session.removeObject(item));
      return make("li", {}, choose, remove);
    });
    find("#objects").replaceChildren(...rows);
    const absent = dataset.classes.map((name) => {
      const box = make("input", { type: "checkbox", checked: session.absent.includes(name) });
      box.disabled = session.readOnly || session.objects.some((item) => item.class_name === name && item.points.length > 0);
      box.addEventListener("change", () => {
        const others = session.absent.filter((each) => each !== name);
        session.setAbsent(box.checked ? [...others, name] : others);
      });
      return make("label", {}, box, name);
    });
    find("#absent").replaceChildren(...absent);
  }

  private showRoles(): void {
    const { session } = this.app;
    if (session === null) return;
    const points = session.current?.points ?? [];
    const buttons = ROLES.map((role) => {
      const count = points.filter((point) => point.role === role).length;
      const tick = count > 1 ? String(count) : count === 1 ? "✓" : "";
      const button = make("button", {}, `${MARKS[role]} ${role}`, make("span", { className: "tick", textContent: tick }));
      pressed(button, (session.role ?? "inside") === role);
      button.addEventListener("click", () => {
        session.role = role;
        this.app.refresh();
      });
      return button;
    });
    find("#roles").replaceChildren(...buttons);
    const problem = session.current === null ? undefined : session.problems.get(keyOf(session.current));
    find("#problem").hidden = problem === undefined;
    find("#problem").textContent = problem ?? "";
  }

  private showGrowth(): void {
    const { session, dataset } = this.app;
    if (session === null) return;
    const grown = session.current === null ? undefined : session.growths.get(keyOf(session.current));
    const threshold = find<HTMLInputElement>("#threshold");
    threshold.value = String(session.threshold);
    threshold.disabled = session.growths.size === 0;
    find("#threshold-value").textContent = session.threshold.toFixed(2);
    const texts = (grown?.warnings ?? []).map((text) => make("li", { textContent: text }));
    find("#warnings").replaceChildren(...texts);
    const other = Math.abs(session.threshold - dataset.foreground_threshold) > 1e-6;
    find("#threshold-hint").hidden = !other;
    find("#threshold-hint").textContent =
      `To train with it: --set expansion.foreground_threshold=${session.threshold.toFixed(2)}`;
  }

  private showBrush(): void {
    const { stage, dataset, session } = this.app;
    const choices: [string, number, string][] = [
      ...dataset.classes.map((name, index): [string, number, string] => [name, index + 1, css(colour(index + 1))]),
      ["background", 0, css(BACKGROUND_COLOUR)],
      ["eraser", UNANNOTATED, "transparent"],
    ];
    const buttons = choices.map(([name, value, background]) => {
      const swatch = make("span", { className: "swatch" });
      swatch.style.background = background;
      if (value === UNANNOTATED) swatch.style.border = "1px solid #e6e9ec";
      const button = make("button", {}, swatch, name);
      pressed(button, stage.brushValue === value);
      button.addEventListener("click", () => {
        stage.brushValue = value;
        this.show();
      });
      return button;
    });
    find("#paint-classes").replaceChildren(...buttons);
    find<HTMLInputElement>("#brush").value = String(stage.brushMm);
    find("#brush-value").textContent = `${stage.brushMm} mm`;
    find<HTMLButtonElement>("#fill").disabled =
      session === null || session.readOnly || stage.brushValue === 0 || stage.brushValue === UNANNOTATED;
  }

  private bind(): void {
    const { app } = this;
    const on = (selector: string, event: string, action: () => void) => find(selector).addEventListener(event, action);
    const valueOf = (selector: string) => Number(find<HTMLInputElement>(selector).value);
    on("#filter", "input", () => this.showCases());
    on("#undo", "click", () => app.session?.undo());
    on("#redo", "click", () => app.session?.redo());
    on("#done", "click", () => void app.setState("done"));
    on("#flag", "click", () => void (app.review === null ? app.setState("flagged") : app.judge("flagged")));
    on("#help-close", "click", () => find<HTMLDialogElement>("#help").close());
    on("#new-object", "click", () => app.session?.addObject(find<HTMLSelectElement>("#new-class").value));
    on("#layout", "click", () => app.stage.setLarge(!app.stage.large));
    on("#in-3d", "click", () => app.stage.setIn3D(!app.stage.in3D));
    on("#reset", "click", () => app.stage.reset());
    on("#channel", "change", () => void app.chooseChannel(Number(find<HTMLSelectElement>("#channel").value)));
    on("#complete", "click", () => app.session?.completeSlice(app.stage.active, app.stage.cursor[app.stage.active]));
    on("#fill", "click", () => void app.session?.fillBetween(app.stage.active, app.stage.brushValue));
    document.querySelectorAll<HTMLElement>("[data-mode]").forEach((each) =>
      each.addEventListener("click", () => app.stage.setMode(each.dataset.mode as Mode)),
    );
    on("#threshold", "input", () => {
      if (app.session === null) return;
      app.session.threshold = valueOf("#threshold");
      app.refresh();
    });
    on("#threshold", "change", () => void app.session?.judge());
    on("#brush", "input", () => {
      app.stage.brushMm = valueOf("#brush");
      this.showBrush();
      app.stage.draw();
    });
    on("#opacity", "input", () => {
      app.stage.opacity = valueOf("#opacity");
      find("#opacity-value").textContent = `${Math.round(100 * app.stage.opacity)} %`;
      app.stage.draw();
    });
    find("#opacity-value").textContent = `${Math.round(100 * app.stage.opacity)} %`;
    const windowed = () => {
      const [level, width] = [valueOf("#level"), valueOf("#width")];
      app.stage.setWindow(level - width / 2, level + width / 2);
    };
    on("#level", "input", windowed);
    on("#width", "input", windowed);
  }
}
