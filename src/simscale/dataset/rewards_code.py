"""Rewards as bytes: the sub-scores of a whole vocabulary at one token, in 17 bits a trajectory.

A row has nine bit planes (two for each of the sub-scores that may be 0.5, one for each of the others), then one byte of
progress a trajectory. Progress is measured in two ways, and the byte serves both: it holds their mean. Both are ramps
over the same metres, `min(1, metres / measure)`, and the slopes of both are known (they follow from two numbers of the
token and from the multiplier, which the planes give), so that the mean can be taken apart again. No step of the mean
hides more than two of either, which is why 1/255 is kept in both. Where the training rewards' progress is 0 or 1
whatever the metres, the byte holds the benchmark's alone.

What is stored is unfiltered; the sub-scores that the human fails are named beside it, and a reader chooses.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from simscale.scoring.rules import PARITY
from simscale.scoring.scores import Scores
from simscale.scoring.vocabulary import COLUMNS, FilterMode, ProgressMode, VocabularyScores

Array = np.ndarray

MODES: tuple[ProgressMode, ...] = ("eval", "gen_gt")
HALVES = ("no_at_fault_collision", "driving_direction")
"""Sub-scores of two planes: is it 1, and is it at least 0.5."""
WHOLES = ("drivable_area", "traffic_light", "time_to_collision", "lane_keeping", "history_comfort")
"""Sub-scores of one plane."""
MULTIPLIERS = ("no_at_fault_collision", "drivable_area", "driving_direction", "traffic_light")
PLANES = 2 * len(HALVES) + len(WHOLES)
QUARTERS = 4
"""Multipliers are 0, 1, 2 or 4 quarters."""
LEVELS = 256
FULL = LEVELS - 1


@dataclass(frozen=True, kw_only=True)
class CodedRewards:
    """A vocabulary's rewards at one token."""

    row: UInt8[Array, " w"]
    best_m: float  # what `eval` measures progress by: the farthest that anybody gets safely, m
    expert_m: float  # what `gen_gt` measures it by: the same of PDM-Closed, m
    failed: Bool[Array, "9"]  # which of `COLUMNS` the human fails as well


@dataclass(frozen=True, kw_only=True)
class Rewards:
    """Rewards of `n` trajectories at each of `b` tokens; every field is in [0, 1]."""

    no_at_fault_collision: Float32[Array, "b n"]
    drivable_area: Float32[Array, "b n"]
    driving_direction: Float32[Array, "b n"]
    traffic_light: Float32[Array, "b n"]
    progress: Float32[Array, "b n"]
    time_to_collision: Float32[Array, "b n"]
    lane_keeping: Float32[Array, "b n"]
    history_comfort: Float32[Array, "b n"]
    total: Float32[Array, "b n"]


def row_width(size: int) -> int:
    """Bytes of a token with a vocabulary of so many trajectories: 34,816 for 16,384."""
    return PLANES * plane_width(size) + size


def plane_width(size: int) -> int:
    """Bytes of one plane."""
    return -(-size // 8)


def coded(scores: VocabularyScores, human: Scores | None) -> CodedRewards:
    """Rewards of one token as bytes.

    Args:
        scores: Of the vocabulary and of PDM-Closed, unfiltered.
        human: Scores [1] of the human's own drive; None where nobody is to be forgiven.
    """
    expert = scores.expert
    safe = scores.plans.progress_m * scores.plans.multiplier
    expert_m = float(expert.progress_m[0] * expert.multiplier[0])
    benchmark, training = (scores.measured(mode).plans.progress for mode in MODES)
    blind = (expert_m <= PARITY.progress_threshold) | (scores.plans.multiplier == 0.0)
    failed = [human is not None and float(getattr(human, name)[0]) == 0.0 for name in COLUMNS]
    return CodedRewards(
        row=packed_row(
            {name: getattr(scores.plans, name) for name in (*HALVES, *WHOLES)},
            np.where(blind, benchmark, (benchmark + training) / 2),
        ),
        best_m=max(float(safe.max(initial=0.0)), expert_m),
        expert_m=expert_m,
        failed=np.array(failed),
    )


def packed_row(sub_scores: dict[str, Float[Array, " n"]], progress: Float[Array, " n"]) -> UInt8[Array, " w"]:
    """A row of sub-scores that are 0, 0.5 or 1, and of a progress in [0, 1]."""
    planes = [sub_scores[name] >= least for name in HALVES for least in (1.0, 0.5)]
    planes += [sub_scores[name] >= 1.0 for name in WHOLES]
    assert all(can_be(name, sub_scores[name]).all() for name in (*HALVES, *WHOLES))
    assert np.all((progress >= 0.0) & (progress <= 1.0))
    bits = np.packbits(np.stack(planes), axis=1, bitorder="little")
    return np.concatenate([bits.ravel(), np.rint(FULL * progress).astype(np.uint8)])


def can_be(name: str, values: Float[Array, " n"]) -> Bool[Array, " n"]:
    """Which of these values a sub-score, or the total, can have."""
    if name not in (*HALVES, *WHOLES):
        return (values >= 0.0) & (values <= 1.0)
    known = (values == 0.0) | (values == 1.0)
    return known | (values == 0.5) if name in HALVES else known


def is_row(row: UInt8[Array, " w"], *, size: int) -> bool:
    """Whether a row is one that `packed_row` can write: nothing is 1 and below 0.5, and nothing beyond the last bit."""
    planes = np.unpackbits(row[: PLANES * plane_width(size)].reshape(PLANES, -1), axis=1, bitorder="little")
    ordered = all(np.all(planes[2 * i] <= planes[2 * i + 1]) for i in range(len(HALVES)))
    return ordered and not planes[:, size:].any()


def rewards_of(
    rows: UInt8[Array, "b w"],
    tables: Float32[Array, "b 5 256"],
    failed: Bool[Array, "b 9"],
    *,
    size: int,
    human_filter: FilterMode,
) -> Rewards:
    """Undoes `coded`, for many tokens at once.

    Args:
        rows: One a token.
        tables: Progress by quarters of the multiplier and by code, see `progress_table`.
        failed: Which of `COLUMNS` the human fails at each token.
        size: Trajectories of the vocabulary.
        human_filter: What becomes of those, see `simscale.scoring.vocabulary.filtered_columns`.
    """
    end = PLANES * plane_width(size)
    bits = rows[:, :end].reshape(len(rows), PLANES, plane_width(size))
    planes = np.unpackbits(bits, axis=2, count=size, bitorder="little").swapaxes(0, 1)
    halves = {name: planes[2 * i] + planes[2 * i + 1] for i, name in enumerate(HALVES)}  # 0, 1 or 2 of them
    wholes = dict(zip(WHOLES, planes[2 * len(HALVES) :], strict=True))
    quarters = halves[HALVES[0]] * halves[HALVES[1]] * wholes["drivable_area"] * wholes["traffic_light"]
    place = quarters.astype(np.int32) * LEVELS + rows[:, end:]
    columns = {name: half * np.float32(0.5) for name, half in halves.items()}
    columns |= {name: whole.astype(np.float32) for name, whole in wholes.items()}
    columns["progress"] = np.take_along_axis(tables.reshape(len(rows), (QUARTERS + 1) * LEVELS), place, axis=1)
    if human_filter == "off" or not failed.any():
        return Rewards(**columns, total=_total(columns))
    before = _total(columns)
    for name, forgiven in zip(COLUMNS, failed.T, strict=True):
        (before if name == "total" else columns[name])[forgiven] = 1.0
    return Rewards(**columns, total=before if human_filter == "legacy" else _total(columns))


def progress_table(best_m: float, expert_m: float, mode: ProgressMode) -> Float32[Array, "5 256"]:
    """Progress of each code, for multipliers of 0 to 4 quarters.

    Args:
        best_m: Of the token, m.
        expert_m: Likewise.
        mode: Which of the two that a code holds.
    """
    code = np.arange(LEVELS) / FULL
    table = np.empty((QUARTERS + 1, LEVELS), dtype=np.float32)
    for quarters in range(QUARTERS + 1):
        benchmark, training = _taken_apart(code, best_m, expert_m, quarters / QUARTERS)
        table[quarters] = benchmark if mode == "eval" else training
    return table


def plain_table() -> Float32[Array, "5 256"]:
    """The table of a token whose codes hold one progress alone."""
    return np.tile((np.arange(LEVELS) / FULL).astype(np.float32), (QUARTERS + 1, 1))


def _taken_apart(code: Float[Array, " c"], best_m: float, expert_m: float, multiplier: float) -> tuple[Array, Array]:
    """Both measures of progress from their mean: one ramp ends before the other, and from there on stays at 1."""
    if expert_m <= PARITY.progress_threshold:
        return code, np.ones_like(code)
    if multiplier == 0.0:
        return code, np.zeros_like(code)
    benchmark_slope, training_slope = 1.0 / best_m, multiplier / expert_m
    ratio = min(benchmark_slope, training_slope) / max(benchmark_slope, training_slope)
    steep = np.minimum(1.0, 2.0 * code / (1.0 + ratio))
    gentle = np.maximum(ratio * steep, 2.0 * code - 1.0)
    return (steep, gentle) if benchmark_slope >= training_slope else (gentle, steep)


def _total(columns: dict[str, Float32[Array, "b n"]]) -> Float32[Array, "b n"]:
    rules = PARITY
    weights = {
        "progress": rules.progress_weight,
        "time_to_collision": rules.ttc_weight,
        "lane_keeping": rules.lane_keeping_weight,
        "history_comfort": rules.history_comfort_weight,
    }
    total = np.zeros_like(columns["progress"])
    for name, weight in weights.items():
        total += np.float32(weight) * columns[name]
    total /= np.float32(sum(weights.values()))
    for name in MULTIPLIERS:
        total *= columns[name]
    return total
