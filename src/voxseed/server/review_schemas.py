"""What goes over HTTP in a review."""

from pydantic import BaseModel, Field

from voxseed.server.schemas import Message, Name
from voxseed.server.workspace import State
from voxseed.workflows.review import ReviewedCase
from voxseed.workflows.verdicts import Verdict


class DoubtMessage(BaseModel):
    """A reason to look at a class of a prediction."""

    class_name: str
    rule: str
    reason: str


class ReviewedCaseMessage(BaseModel):
    """A case of a review: everything but `name`, `state` and `verdict` is empty while it is not predicted."""

    name: str
    state: State = Field(description="how far its annotation is")
    verdict: Verdict
    prediction: str = Field(description="names the prediction: another one of this case has another name")
    estimate: float | None = Field(description="expected Dice, mean over classes; the list is sorted by it")
    expected_dice: dict[str, float] = Field(description="by class; an estimate without a dense label")
    mean_uncertainty: float | None = Field(description="of the voxels of predicted objects")
    has_uncertainty: bool
    doubts: list[DoubtMessage]

    @classmethod
    def of(cls, each: ReviewedCase, state: State) -> "ReviewedCaseMessage":
        """From what the review knows."""
        record = each.record
        return cls(
            name=each.case,
            state=state,
            verdict=each.verdict,
            prediction=each.prediction,
            estimate=None if record is None else record.mean_expected_dice,
            expected_dice={} if record is None else record.expected_dice,
            mean_uncertainty=None if record is None else record.mean_uncertainty,
            has_uncertainty=each.has_uncertainty,
            doubts=[] if record is None else [DoubtMessage(**vars(doubt)) for doubt in record.doubts],
        )


class ReviewMessage(BaseModel):
    """A review: every case, worst first, and how far the predictions are."""

    run: str
    is_predicting: bool = Field(description="whether cases may still come")
    problem: str = Field(description="why cases could not be predicted; empty if nothing is wrong so far")
    cases: list[ReviewedCaseMessage]


class VerdictMessage(Message):
    """What a person says of the prediction that was looked at."""

    verdict: Verdict
    prediction: Name


class ProposalMessage(BaseModel):
    """Which case to annotate next."""

    case: str | None = Field(description="none if every case is annotated, or none of the others is predicted yet")
    reason: str
