/** What a review adds beside the slices: the estimate and doubts of the open case, verdicts, what is drawn. */
import { colour, css } from "./guide";
import type { App } from "./main";
import { find, make, pressed } from "./panel";
import type { Review, ReviewedCase, Verdict } from "./review";

const MARKS: Record<Verdict, [string, string]> = {
  undecided: ["○", ""],
  accepted: ["✓", "done"],
  flagged: ["⚑", "flagged"],
};

/** Two digits, as everywhere in a list. */
function percent(estimate: number): string {
  return estimate.toFixed(2);
}

function ordinal(rank: number): string {
  const ending = rank % 100 >= 11 && rank % 100 <= 13 ? "th" : (["th", "st", "nd", "rd"][rank % 10] ?? "th");
  return `${rank}${ending}`;
}

function isCorrected(each: ReviewedCase): boolean {
  return each.state !== "unannotated";
}

/** A row of the list of cases. */
export function reviewedRow(each: ReviewedCase): HTMLElement {
  const ready = each.prediction !== "";
  const [mark, kind] = ready ? MARKS[each.verdict] : ["·", ""];
  const estimate = each.estimate === null ? "" : percent(each.estimate);
  const words = [
    ready ? `expected Dice ${estimate}, ${each.verdict}` : "not predicted yet",
    ...(isCorrected(each) ? ["annotated"] : []),
    ...(each.doubts.length > 0 ? ["doubtful"] : []),
  ].join(", ");
  return make(
    "button",
    { title: `${each.name}: ${words}`, className: ready ? "" : "waiting" },
    make("span", { className: `mark ${kind}`, textContent: mark, ariaHidden: "true" }),
    make("span", { className: "name", textContent: each.name }),
    make("span", { className: "hidden", textContent: words }),
    make("span", { className: "signs", textContent: `${isCorrected(each) ? "✎" : ""}${each.doubts.length > 0 ? "⚠" : ""}`, ariaHidden: "true" }),
    make("span", { className: "estimate", textContent: estimate, ariaHidden: "true" }),
  );
}

export class ReviewPanel {
  constructor(
    private readonly app: App,
    private readonly review: Review,
  ) {
    document.title = `${app.dataset.name}: review`;
    find("#review-section").hidden = find("#accept").hidden = find("#annotate-next").hidden = find("#as-predicted").hidden = false;
    find("#done").hidden = true;
    find("#flag").title = "Flag this prediction (X)";
    const on = (selector: string, event: string, action: () => void) => find(selector).addEventListener(event, action);
    on("#accept", "click", () => void app.judge("accepted"));
    on("#annotate-next", "click", () => void app.annotateNext());
    on("#predicted", "click", () => this.toggle("isOn"));
    on("#filled", "click", () => this.toggle("isFilled"));
    on("#uncertain", "click", () => this.toggle("showsUncertainty"));
    on("#doubted", "click", () => app.lookWhereDoubted());
    on("#as-predicted", "click", () => this.sliceAsPredicted());
    on("#predicted-opacity", "input", () => {
      review.opacity = Number(find<HTMLInputElement>("#predicted-opacity").value);
      this.show();
      app.stage.draw();
    });
  }

  toggle(what: "isOn" | "isFilled" | "showsUncertainty"): void {
    this.review[what] = !this.review[what];
    if (what === "isFilled" && this.review.isFilled) this.review.isOn = true;
    this.show();
    this.app.stage.changed();
  }

  /** The slice of the active view becomes annotated: what is painted stays, the rest is as predicted. */
  sliceAsPredicted(): void {
    const { session, stage } = this.app;
    const { shown } = this.review;
    if (session === null || shown === null || stage.mode !== "paint") return;
    const index = stage.cursor[stage.active];
    session.completeSlice(stage.active, index, shown.labels.slice(stage.active, index));
  }

  show(): void {
    const { review, app } = this;
    const each = review.find(app.session?.info.name);
    const ready = each !== undefined && each.prediction !== "" && review.shown !== null;
    const mine = ready && app.session?.readOnly === false;
    for (const [selector, verdict] of [["#accept", "accepted"], ["#flag", "flagged"]] as [string, Verdict][]) {
      pressed(find(selector), each?.verdict === verdict);
      find<HTMLButtonElement>(selector).disabled = !mine;
    }
    const hasUncertainty = review.shown !== null && review.shown.uncertainty !== null;
    pressed(find("#predicted"), review.isOn);
    pressed(find("#filled"), review.isFilled);
    pressed(find("#uncertain"), review.showsUncertainty && hasUncertainty);
    for (const name of ["predicted", "filled", "predicted-opacity", "doubted"]) find<HTMLButtonElement>(`#${name}`).disabled = !ready;
    find<HTMLButtonElement>("#uncertain").disabled = !hasUncertainty;
    find("#uncertain").title = hasUncertainty || !ready ? "Where the model's opinions differ (U)" : "The model has one opinion: no uncertainty";
    find<HTMLButtonElement>("#as-predicted").disabled = !mine;
    find("#predicted-opacity-value").textContent = `${Math.round(100 * review.opacity)} %`;
    this.showEstimates(each);
    this.showProgress();
  }

  /** What is said in place of the guidance of looking around. */
  guide(): { text: string; finished: boolean; problem: boolean } {
    const name = this.app.session?.info.name ?? "";
    const each = this.review.find(name);
    if (each === undefined || each.prediction === "") {
      return { text: this.review.info.is_predicting ? "Not predicted yet; it will appear here." : "Not predicted.", finished: false, problem: false };
    }
    if (each.verdict !== "undecided") {
      return { text: `The prediction is ${each.verdict}. N: next case.`, finished: each.verdict === "accepted", problem: each.verdict === "flagged" };
    }
    const [rank, count] = this.review.rank(name);
    const place = rank === 1 ? "the lowest" : `the ${ordinal(rank)} lowest`;
    return { text: `Expected Dice ${percent(each.estimate ?? 0)}, ${place} of ${count}. A: accept. X: flag. B, P: correct.`, finished: false, problem: false };
  }

  private showEstimates(each: ReviewedCase | undefined): void {
    const classes = this.app.dataset.classes.filter((name) => each?.expected_dice[name] !== undefined);
    const rows = classes.map((name) => {
      const swatch = make("span", { className: "swatch" });
      swatch.style.background = css(colour(this.app.dataset.classes.indexOf(name) + 1));
      return make("li", {}, swatch, make("span", { className: "name", textContent: name }), make("output", { textContent: percent(each!.expected_dice[name]) }));
    });
    find("#estimates").replaceChildren(...rows);
    const doubts = (each?.doubts ?? []).map(({ class_name, reason }) => make("li", { textContent: `${class_name}: ${reason}` }));
    find("#doubts").replaceChildren(...doubts);
  }

  private showProgress(): void {
    const { cases, is_predicting, problem } = this.review.info;
    const ready = cases.filter((each) => each.prediction !== "");
    const count = (verdict: Verdict) => ready.filter((each) => each.verdict === verdict).length;
    const predicted = ready.length === cases.length ? `${cases.length} cases` : `${ready.length} of ${cases.length} cases predicted`;
    const verdicts = [`${count("accepted")} accepted`, `${count("flagged")} flagged`, `${count("undecided")} to review`];
    find("#progress").textContent = `${predicted}${is_predicting ? "…" : ""}\n${verdicts.join(", ")}`;
    find("#predicting-problem").hidden = problem === "";
    find("#predicting-problem").textContent = problem;
  }
}
