"""Recipes: stages in order, each a method with the networks that it trains."""

from dataclasses import dataclass

from voxseed.errors import UnknownNameError
from voxseed.methods.base import METHODS


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe.

    Attributes:
        method: registered name.
        members: networks that the stage trains.
        share: its iterations as a multiple of `training.iterations`.
    """

    method: str
    members: tuple[str, ...]
    share: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """Stages in order; each starts from the networks that the one before it left."""

    name: str
    summary: str
    stages: tuple[Stage, ...]


RECIPES = {
    "pa-seg": Recipe(
        "pa-seg",
        "Points to segmentation in two stages (Zhai et al. 2023): contextual regularisation, "
        "then self and cross monitoring of two networks.",
        (
            Stage("stage-one", ("primary", "auxiliary")),
            # The paper's second stage has 100 epochs after 300 (schwannoma) or 500 (glioma).
            Stage("scm", ("primary", "auxiliary"), share=1 / 3),
        ),
    ),
}


def recipe_names() -> list[str]:
    """Everything that `--method` accepts, sorted."""
    return sorted([*RECIPES, *METHODS.names()])


def get_recipe(name: str) -> Recipe:
    """The recipe of that name; a single method is a recipe of one stage.

    Raises:
        UnknownNameError: lists the known names.
    """
    if name in RECIPES:
        return RECIPES[name]
    if name not in METHODS.names():
        raise UnknownNameError(f"Unknown method {name!r}. Known: {', '.join(recipe_names())}.")
    method = METHODS.get(name)
    return Recipe(name, method.summary, (Stage(name, method.members),))
