"""A golden folder of planners checked: our planners, features, targets, losses and rates against the reference's.

Weights and inputs are made from the recipe that the folder names; nothing but results is read from it. Whatever result
is there is compared. A case whose planner is not among ours counts as missing, and so does a result that we have no
counterpart of: neither is passed over.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simscale.evaluate.comparison import Agreement, Comparison, agreements
from simscale.evaluate.golden_check import Checked
from simscale.evaluate.golden_lessons import (
    BUILDERS,
    builder_comparisons,
    loss_comparisons,
    piece_comparisons,
    schedule_comparisons,
)
from simscale.evaluate.golden_networks import is_known, network_comparisons, read_case
from simscale.evaluate.golden_recipe import Recipe, read_recipe
from simscale.scene import BadInput

Array = np.ndarray

LOSSES, PIECES, RATES = "losses.npz", "misc.npz", "lr_schedules.json"


@dataclass(frozen=True, kw_only=True)
class PlannerVerdict:
    """A whole folder."""

    agreements: dict[str, Agreement]  # by case and quantity
    missing: tuple[str, ...]  # cases that none of our planners is for
    faults: tuple[str, ...]  # a sentence each

    @property
    def total(self) -> Agreement:
        """All quantities together; the worst difference is in whatever unit it has."""
        return sum(self.agreements.values(), Agreement())

    @property
    def passes(self) -> bool:
        """Whether everything that there is was compared and agrees."""
        return not self.faults and not self.missing


def planner_files(folder: Path) -> list[Path]:
    """What there is to check, small things first.

    Raises:
        BadInput: There is nothing.
    """
    small = [*(f"{name}.npz" for name in BUILDERS), LOSSES, PIECES, RATES]
    found = [folder / name for name in small if (folder / name).is_file()]
    found += sorted(path for path in folder.glob("*.npz") if path.name not in small)
    if not found:
        raise BadInput(folder, "golden numbers", "none", "cases (.npz) of planners, builders, losses")
    return found


def checked_planner(folder: Path, path: Path) -> Checked | None:
    """One of the `planner_files` of a folder; None where it is a case of a planner that we do not have.

    Raises:
        BadInput: The file is damaged, or the recipe is.
    """
    is_case = path.suffix == ".npz" and path.name not in (LOSSES, PIECES) and path.stem not in BUILDERS
    if is_case and not is_known(path.stem):
        return None
    found = tuple(_comparisons(folder, path, read_recipe(folder)))
    return Checked(name=path.stem, comparisons=found)


def planner_verdict(parts: dict[str, Checked | None]) -> PlannerVerdict:
    """Everything together, by the files' names."""
    compared = {name: part for name, part in parts.items() if part is not None}
    sums = {
        f"{name} {quantity}": agreement
        for name, part in compared.items()
        for quantity, agreement in agreements(part.comparisons).items()
    }
    return PlannerVerdict(
        agreements=sums,
        missing=tuple(name for name, part in parts.items() if part is None),
        faults=tuple(f"{name}: {one.sentence}" for name, part in compared.items() for one in part.faults),
    )


def _comparisons(folder: Path, path: Path, recipe: Recipe) -> Iterator[Comparison]:
    try:
        if path.name == RATES:
            yield from schedule_comparisons(json.loads(path.read_bytes()))
        elif path.stem in BUILDERS:
            yield from builder_comparisons(folder, path.stem, _arrays(path), recipe)
        elif path.name == LOSSES:
            yield from loss_comparisons(_arrays(path))
        elif path.name == PIECES:
            yield from piece_comparisons(_arrays(path), recipe)
        else:
            yield from network_comparisons(read_case(folder, path.stem), recipe)
    except KeyError as error:
        raise BadInput(path, "content", f"without {error}", "all that belongs to what is there") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(path, "content", f"not readable ({error!r})", "golden numbers of planners") from None


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except Exception as error:
        raise BadInput(path, "file", f"unreadable ({type(error).__name__})", "arrays") from None
