"""Scores against the golden numbers: of the trajectories, of PDM-Closed beside them, of the human.

Every trajectory is scored as the reference scores it: beside PDM-Closed in the same traffic, each the measure of the
other's progress.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Shaped

from simscale.evaluate.comparison import EXACT, Comparison
from simscale.evaluate.golden_inputs import METRES
from simscale.evaluate.navsim_start import NavsimStart, driven
from simscale.scene import CarState, Tracks
from simscale.scoring import PARITY, Scores, human_filtered, score
from simscale.scoring.areas import ego_areas
from simscale.scoring.boxes import ego_boxes
from simscale.scoring.human_filter import SUB_SCORES
from simscale.scoring.progress import progress_score

Array = np.ndarray

PROGRESS = SUB_SCORES.index("progress")
MULTIPLIED = ("no_at_fault_collision", "drivable_area", "traffic_light", "driving_direction")
WEIGHTED = ("progress", "time_to_collision", "lane_keeping", "history_comfort")
"""The reference's order of rows within its scorer, other than that of its columns."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Drives beside PDM-Closed in the same traffic, before the human filter."""

    ego: CarState  # [k t]
    tracks: Tracks  # [a t] or [k a t]
    scores: Scores  # [k]
    expert: Scores  # [k], PDM-Closed
    human: Scores  # [1]


def judged(start: NavsimStart, ego: CarState, expert: CarState, traffic: Callable[[CarState], Tracks]) -> Judged:
    """Scores drives.

    Args:
        start: Where they start.
        ego: The drives [k t].
        expert: PDM-Closed's drive [t].
        traffic: The others beside drives [k t]: tracks [a t], or [k a t] where they react.
    """
    tracks = traffic(ego)
    beside = CarState.unpacked(np.broadcast_to(expert.packed(), ego.packed().shape).copy())
    alone = {"vehicle": start.vehicle, "history": start.history, "rules": PARITY}
    first = score(beside, tracks, start.around, best_progress=0.0, **alone)
    second = score(ego, tracks, start.around, best_progress=first.progress_m * first.multiplier, **alone)
    measured = progress_score(first.progress_m, first.multiplier, second.progress_m * second.multiplier, PARITY)
    drive = driven(start, start.human)
    return Judged(
        ego=ego,
        tracks=tracks,
        scores=second,
        expert=replace(first, progress=measured),
        human=score(drive, traffic(drive), start.around, vehicle=start.vehicle, history=None, rules=PARITY),
    )


def score_comparisons(z: dict[str, Array], found: Judged, start: NavsimStart, prefix: str) -> Iterator[Comparison]:
    """Everything that a score consists of."""
    scores, expert, human = found.scores, found.expert, found.human
    yield from _sub_scores(z, f"{prefix}", scores)
    yield from _sub_scores(z, f"{prefix}_pdm_ref", expert)
    yield from _sub_scores(z, f"{prefix}_human", human)
    yield from _first_failures(z, prefix, scores, expert)
    together = {
        f"{prefix}_progress_raw": np.stack([expert.progress_m, scores.progress_m], axis=-1),
        f"{prefix}_pdm_score": scores.total,
        f"{prefix}_human_progress": human.progress_m,
    }
    for name, values in together.items():
        if name in z:
            yield Comparison(quantity=name, found=values, expected=z[name], tolerance=METRES)
    if f"{prefix}_areas" in z:
        car = ego_boxes(found.ego, vehicle=start.vehicle, origin_xy=start.around.origin_xy)
        areas = ego_areas(car, start.around)
        flags = np.stack([areas.multiple_lanes, areas.non_drivable, areas.oncoming], axis=-1)
        yield Comparison(quantity=f"{prefix}_areas", found=flags, expected=z[f"{prefix}_areas"], tolerance=EXACT)
    yield from _filtered(z, prefix, human_filtered(scores, human, PARITY))


def _sub_scores(z: dict[str, Array], prefix: str, scores: Scores) -> Iterator[Comparison]:
    multi, weighted = f"{prefix}_multi", f"{prefix}_weighted"
    if multi in z:
        found = columns_of(scores, MULTIPLIED).reshape(z[multi].shape)
        yield Comparison(quantity=multi, found=found, expected=z[multi], tolerance=EXACT)
    if weighted in z:
        expected = z[weighted][..., : len(WEIGHTED)]  # the fifth, extended comfort, is not the scorer's own
        found = columns_of(scores, WEIGHTED).reshape(expected.shape)
        yield from with_progress(weighted, found, expected, WEIGHTED.index("progress"))


def _first_failures(z: dict[str, Array], prefix: str, scores: Scores, expert: Scores) -> Iterator[Comparison]:
    for name, field in (("coll_idx", "collision"), ("ttc_idx", "time_to_collision")):
        if f"{prefix}_{name}" in z:
            both = np.stack([getattr(expert.first, field), getattr(scores.first, field)], axis=-1)
            never = np.where(both < 0, np.inf, both.astype(np.float64))
            quantity = f"{prefix}_{name}"
            yield Comparison(quantity=quantity, found=never, expected=z[quantity], tolerance=EXACT)


def _filtered(z: dict[str, Array], prefix: str, final: Scores) -> Iterator[Comparison]:
    """After the human filter."""
    name = f"{prefix}_final"
    if name in z:
        yield from with_progress(name, columns_of(final, SUB_SCORES), z[name], PROGRESS)
    if f"{name}_mult" in z:
        yield Comparison(quantity=f"{name}_mult", found=final.multiplier, expected=z[f"{name}_mult"], tolerance=EXACT)
    if f"{name}_weighted" in z:
        expected = z[f"{name}_weighted"][:, : len(WEIGHTED)]
        yield from with_progress(f"{name}_weighted", columns_of(final, WEIGHTED), expected, WEIGHTED.index("progress"))


def columns_of(scores: Scores, names: tuple[str, ...]) -> Float[Array, "k c"]:
    """Some sub-scores side by side."""
    return np.stack([getattr(scores, name) for name in names], axis=-1)


def with_progress(
    quantity: str, found: Shaped[Array, "*b c"], expected: Shaped[Array, "*b c"], progress: int
) -> Iterator[Comparison]:
    """Columns that must be equal, and beside them one that is a length's share."""
    others = np.arange(expected.shape[-1]) != progress
    yield Comparison(quantity=quantity, found=found[..., others], expected=expected[..., others], tolerance=EXACT)
    here = (found[..., progress], expected[..., progress])
    yield Comparison(quantity=f"{quantity}_progress", found=here[0], expected=here[1], tolerance=METRES)
