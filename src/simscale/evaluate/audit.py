"""Recomputes a published table of scores, and explains each of its rows.

A score follows from the sub-scores beside it. Until September 2025 the reference's human filter changed the columns
that are shown and not the score (Q9): such a row shows 1 where the human failed and the agent may have failed too, so
that its score is lower than its columns say. It is consistent with that *legacy* filter when some sub-scores that the
scorer can give, instead of ones that are shown as 1, make exactly its score. All else is not explained.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.evaluate.aggregate import SCORE, token_columns
from simscale.evaluate.table import (
    PDMS,
    PDMS_NAMES,
    REFERENCE_NAMES,
    SUMMARY_OF,
    TWO_STAGE,
    ScoreTable,
    column_means,
    stage_part,
)
from simscale.scoring.pdms import pdms_total
from simscale.scoring.rules import PARITY

Array = np.ndarray

TOLERANCE = 1e-9
"""How far a number may be from the recomputed one."""
HALVES, WHOLE = (0.0, 0.5, 1.0), (0.0, 1.0)
GIVEN: dict[str, tuple[float, ...]] = {
    "no_at_fault_collisions": HALVES,
    "drivable_area_compliance": WHOLE,
    "driving_direction_compliance": HALVES,
    "traffic_light_compliance": WHOLE,
    "time_to_collision_within_bound": WHOLE,
    "lane_keeping": WHOLE,
    "history_comfort": WHOLE,
    "two_frame_extended_comfort": WHOLE,
    "comfort": WHOLE,
}
"""Values that the scorer can give; progress has all from 0 to 1."""
EXTENDED = "two_frame_extended_comfort"
UNFILTERED = ("ego_progress", "history_comfort", EXTENDED)
"""What the human never fails (EP and HC are always 1, Q9), or the filter does not touch (EC)."""
EQUAL, LEGACY, NOT_SCORED, UNEXPLAINED = range(4)
"""Verdicts on a row."""
CHUNK = 100_000
"""Rows whose possible sub-scores are tried at once."""


@dataclass(frozen=True, kw_only=True)
class SummaryCheck:
    """One summary row against the rows above it."""

    compared: int  # numbers that the table allows to recompute
    equal: int
    worst: float  # difference
    bounded: int  # numbers of which the table only gives bounds (those that need weights)
    within: int  # of these, inside


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What became of a table."""

    table: ScoreTable
    verdict: Int[Array, " n"]
    recomputed: Float[Array, " n"]  # score from the columns that are shown
    problems: tuple[tuple[str, str], ...]  # (row, what is wrong); one or more for each row that is not explained
    summary: dict[str, SummaryCheck]

    @property
    def filter(self) -> str:
        """The human filter it was made with: fixed, legacy, none (v1), or unknown."""
        if self.table.kind == PDMS:
            return "none"
        if (self.verdict == LEGACY).any():
            return "legacy"
        return "fixed" if (self.verdict == EQUAL).any() else "unknown"

    @property
    def explained(self) -> bool:
        """Whether every row is."""
        return not self.problems


def audited(table: ScoreTable) -> Audit:
    """Recomputes scores and summary rows."""
    stage = table.stage
    verdict = np.full(len(table.token), UNEXPLAINED)
    recomputed = np.full(len(table.token), np.nan)
    for number in (1, 2):
        rows = np.flatnonzero(stage == number)
        values = table.of_stage(number)[rows]
        recomputed[rows] = _score_of(table.kind, values)
        verdict[rows] = _verdicts(table.kind, values, recomputed[rows], filtered=number == 1)
    blank = np.isnan(table.values).all(axis=1)
    verdict[~table.valid] = UNEXPLAINED
    verdict[~table.valid & blank] = NOT_SCORED
    summary = _summary_checks(table, stage)
    problems = [*_row_problems(table, stage, verdict, recomputed), *_summary_problems(table, summary)]
    return Audit(table=table, verdict=verdict, recomputed=recomputed, problems=tuple(problems), summary=summary)


def _score_of(kind: str, values: Float[Array, "n m"]) -> Float[Array, " n"]:
    """Score from the columns of one stage; NaN where one is blank that may not be."""
    if kind == PDMS:
        named = dict(zip(PDMS_NAMES, values.T, strict=False))
        return pdms_total(
            named["no_at_fault_collisions"] * named["drivable_area_compliance"],
            named["ego_progress"],
            named["time_to_collision_within_bound"],
            named["comfort"],
        )
    return token_columns(values[:, :8], values[:, 8], PARITY)[:, SCORE]


def _verdicts(
    kind: str, values: Float[Array, "n m"], recomputed: Float[Array, " n"], *, filtered: bool
) -> Int[Array, " n"]:
    """Verdicts on rows of one stage; the second stage has no human, so that its rows are equal or not explained."""
    verdict = np.full(len(values), UNEXPLAINED)
    possible = _possible(kind, values)
    equal = possible & (np.abs(values[:, -1] - recomputed) <= TOLERANCE)
    verdict[equal] = EQUAL
    lower = np.flatnonzero(possible & (values[:, -1] < recomputed - TOLERANCE))
    if filtered and kind != PDMS:
        for first in range(0, len(lower), CHUNK):
            rows = lower[first : first + CHUNK]
            verdict[rows[_consistent_with_legacy(values[rows])]] = LEGACY
    return verdict


def _names(kind: str) -> tuple[str, ...]:
    return PDMS_NAMES if kind == PDMS else REFERENCE_NAMES


def _possible(kind: str, values: Float[Array, "n m"]) -> Bool[Array, " n"]:
    """Rows whose every number is one that the scorer can give."""
    named = zip((*_names(kind), "score"), values.T, strict=True)
    return np.all([_is_given(name, column) for name, column in named], axis=0)


def _is_given(name: str, found: Float[Array, " n"]) -> Bool[Array, " n"]:
    """Whether the scorer can give these numbers in a column; extended comfort may be missing (Q15)."""
    if name not in GIVEN:
        return (found >= 0.0) & (found <= 1.0 + TOLERANCE)
    return np.isin(found, GIVEN[name]) | (np.isnan(found) if name == EXTENDED else False)


def _consistent_with_legacy(values: Float[Array, "n 10"]) -> Bool[Array, " n"]:
    """Whether sub-scores exist that give the score: as shown, but anything where a filter may have put a 1."""
    filterable = [column for column, name in enumerate(REFERENCE_NAMES) if name not in UNFILTERED]
    found = np.zeros(len(values), dtype=bool)
    for before in product(*(GIVEN[REFERENCE_NAMES[column]] for column in filterable)):
        unfiltered = values[:, :8].copy()
        unfiltered[:, filterable] = before
        allowed = ((unfiltered == values[:, :8]) | (values[:, :8] == 1.0)).all(axis=1) & ~found
        score = token_columns(unfiltered[allowed], values[allowed, 8], PARITY)[:, SCORE]
        found[allowed] = np.abs(score - values[allowed, -1]) <= TOLERANCE
    return found


def _summary_checks(table: ScoreTable, stage: Int[Array, " n"]) -> dict[str, SummaryCheck]:
    """Each summary row against what the rows above it allow to say."""
    first = table.of_stage(1)[table.valid & (stage == 1)]
    if table.kind != TWO_STAGE:
        return {name: _compared(row, column_means(first)) for name, row in table.summary.items()}
    second = table.of_stage(2)[table.valid & (stage == 2)]
    return {name: _two_stage_check(table, name, first, second) for name in table.summary}


def _two_stage_check(
    table: ScoreTable, name: str, first: Float[Array, "n 10"], second: Float[Array, "m 10"]
) -> SummaryCheck:
    """A summary row of two stages.

    Means of the first stage can be recomputed, unless a token failed: its group is then left out. Those of the second
    are weighted by distances that no table holds, and lie between the least and the greatest row. The combined score
    is a mean of products of both stages: it lies between `one + two - 1` (and 0) and the lesser of the two.
    """
    one, two, both = SUMMARY_OF[TWO_STAGE]
    part_one, part_two = (stage_part(TWO_STAGE, table.summary[name], number) for number in (1, 2))
    whole = bool(table.valid.all())
    checks = []
    if name != two:
        part = part_one if name == one else part_one[:-1]
        checks.append(_compared(part, column_means(first)) if whole else _bounded(part, *_range(first), blank=True))
    if name != one:
        checks.append(_bounded(part_two if name == two else part_two[:-1], *_range(second), blank=not whole))
    if name == both and two in table.summary:
        checks.append(_compared(part_two[:-1], stage_part(TWO_STAGE, table.summary[two], 2)))
    if name == both and {one, two} <= table.summary.keys():
        scores = [table.summary[stage][-1] for stage in (one, two)]
        low, high = np.array([max(sum(scores) - 1.0, 0.0)]), np.array([min(scores)])
        checks.append(_bounded(part_one[-1:], low, high, blank=not whole))
    return _together(checks)


def _range(values: Float[Array, "n m"]) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    low = np.nan_to_num(values, nan=np.inf).min(axis=0, initial=np.inf)
    return low, np.nan_to_num(values, nan=-np.inf).max(axis=0, initial=-np.inf)


def _compared(row: Float[Array, " m"], expected: Float[Array, " m2"]) -> SummaryCheck:
    expected = expected[: len(row)]
    same = (row == expected) | (np.isnan(row) & np.isnan(expected))
    away = np.abs(np.subtract(row, expected, out=np.zeros(len(row)), where=~same))
    worst = float(np.nan_to_num(away, nan=np.inf).max(initial=0.0))
    return SummaryCheck(compared=len(row), equal=int((away <= TOLERANCE).sum()), worst=worst, bounded=0, within=0)


def _bounded(
    row: Float[Array, " m"], low: Float[Array, " m2"], high: Float[Array, " m2"], *, blank: bool
) -> SummaryCheck:
    """Numbers against their bounds; where `blank`, one may be missing, as after the failure of all groups."""
    known = ~np.isnan(row) if blank else np.ones(len(row), dtype=bool)
    within = known & (row >= low[: len(row)] - TOLERANCE) & (row <= high[: len(row)] + TOLERANCE)
    return SummaryCheck(compared=0, equal=0, worst=0.0, bounded=int(known.sum()), within=int(within.sum()))


def _together(checks: Sequence[SummaryCheck]) -> SummaryCheck:
    return SummaryCheck(
        compared=sum(check.compared for check in checks),
        equal=sum(check.equal for check in checks),
        worst=max((check.worst for check in checks), default=0.0),
        bounded=sum(check.bounded for check in checks),
        within=sum(check.within for check in checks),
    )


def _row_problems(
    table: ScoreTable, stage: Int[Array, " n"], verdict: Int[Array, " n"], recomputed: Float[Array, " n"]
) -> Iterator[tuple[str, str]]:
    for n in np.flatnonzero(verdict == UNEXPLAINED).tolist():
        yield table.token[n] or f"row {n}", _reason(table, n, int(stage[n]), float(recomputed[n]))
    if len(set(table.token)) < len(table.token):
        for token, count in Counter(table.token).items():
            if count > 1:
                yield token, f"stands in the table {count} times"


def _reason(table: ScoreTable, n: int, stage: int, recomputed: float) -> str:
    """Why a row is not explained."""
    if not table.valid[n]:
        return "is marked as not valid, and has numbers"
    if stage == 0:
        return "fills neither stage, or both"
    values = table.of_stage(stage)[n]
    named = dict(zip((*_names(table.kind), "score"), values.tolist(), strict=True))
    for name, value in named.items():
        if not _is_given(name, np.array([value]))[0]:
            return f"{name} is {'blank' if np.isnan(value) else f'{value:g}, which no scorer gives'}"
    return f"score is {named['score']!r}, its columns give {recomputed!r}"


def _summary_problems(table: ScoreTable, summary: dict[str, SummaryCheck]) -> Iterator[tuple[str, str]]:
    for name in SUMMARY_OF[table.kind]:
        if name not in summary:
            yield name, "is missing"
            continue
        check = summary[name]
        if check.equal < check.compared:
            yield name, f"{check.compared - check.equal} of {check.compared} numbers are not the means of the rows"
        if check.within < check.bounded:
            yield name, f"{check.bounded - check.within} of {check.bounded} numbers are beyond what the rows allow"
