"""Runs of the official command line against ours: from the numbers of single tokens to the tables that it wrote."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from simscale.evaluate.aggregate import (
    COLUMNS,
    SCORE,
    Group,
    TwoStage,
    extended_comforts,
    following_pairs,
    token_columns,
    two_stage,
)
from simscale.evaluate.comparison import EXACT, Comparison, of_names
from simscale.evaluate.table import REFERENCE_NAMES, ScoreTable, column_means, read_table
from simscale.ingest.golden import GoldenRun
from simscale.scene import PACIFICA, CarState
from simscale.scoring import PARITY

Array = np.ndarray

SUMS = 1e-9
"""Tolerance of scores, weights and means."""
PARTS = ("stage_one", "stage_two", "combined")


def run_comparisons(run: GoldenRun) -> Iterator[Comparison]:
    """Extended comfort, scores, weights, means, and the table.

    Raises:
        BadInput: The table is damaged.
    """
    z = run.npz
    groups = groups_of(run)
    pairs = _pairs(run, groups)
    extended = _extended(run, pairs, both=bool(groups))
    columns = token_columns(z["metrics"], extended, PARITY)
    yield from _column(z, "ec", extended, EXACT)
    yield from _column(z, "mult_prod", z["metrics"][:, :4].prod(axis=1), EXACT)
    yield from _column(z, "score", columns[:, SCORE], SUMS)
    stages = None
    if groups:
        stages = two_stage(columns, groups, end_xy=z["endpoint"], start_xy=z["start_pose"][:, :2])
        yield from _stages(run, groups, stages)
    if run.table is not None:
        yield from _table(run, columns, stages, groups)


def groups_of(run: GoldenRun) -> list[Group]:
    """Groups of tokens as rows; none in a run of one stage."""
    row = {str(token): n for n, token in enumerate(run.npz["tokens"])}
    return [
        Group(now=row[now], prev=row[prev], pairs=np.array([[row[token] for token in pair] for pair in pairs]))
        for now, prev, pairs in run.json.get("mapping") or []
    ]


def _pairs(run: GoldenRun, groups: list[Group]) -> Int[Array, "p 2"]:
    """(now, prev): plans that extended comfort compares."""
    if groups:
        return np.concatenate([np.concatenate([[[group.now, group.prev]], group.pairs]) for group in groups])
    _, log = np.unique(run.npz["log_name"], return_inverse=True)
    return following_pairs(_time_us(run), log)


def _extended(run: GoldenRun, pairs: Int[Array, "p 2"], *, both: bool) -> Float[Array, " n"]:
    """Extended comfort of each token; in two stages the earlier plan of a pair has that of the later one."""
    ego = CarState.unpacked(run.npz["sim_states"])
    found = np.full(len(run.npz["tokens"]), np.nan)
    values = extended_comforts(ego, pairs, _time_us(run), vehicle=PACIFICA, rules=PARITY)
    found[pairs[:, 0]] = values
    if both:
        found[pairs[:, 1]] = values
    return found


def _time_us(run: GoldenRun) -> Int[Array, " n"]:
    return np.rint(run.npz["start_time"] * 1e6).astype(np.int64)


def _column(z: dict[str, Array], name: str, found: Array, tolerance: float) -> Iterator[Comparison]:
    if name in z:
        yield Comparison(quantity=f"run_{name}", found=found, expected=z[name], tolerance=tolerance)


def _stages(run: GoldenRun, groups: list[Group], stages: TwoStage) -> Iterator[Comparison]:
    second = np.unique(np.concatenate([group.pairs.ravel() for group in groups]))
    if "weight" in run.npz:
        expected = run.npz["weight"][second]
        yield Comparison(quantity="run_weight", found=stages.weight[second], expected=expected, tolerance=SUMS)
    names = (*REFERENCE_NAMES, "score")
    for part in PARTS:
        means = run.json.get(part) or {}
        known = [name in means for name in names]
        if any(known):
            expected = np.array([means[name] for name in names if name in means])
            found = getattr(stages, part).mean(axis=0)[known]
            yield Comparison(quantity=f"run_{part}", found=found, expected=expected, tolerance=SUMS)


def _table(
    run: GoldenRun, columns: Float[Array, "n c"], stages: TwoStage | None, groups: list[Group]
) -> Iterator[Comparison]:
    """Rows of the table by token, and its summary."""
    assert run.table is not None
    table = read_table(run.table)
    row = {str(token): n for n, token in enumerate(run.npz["tokens"])}
    yield of_names("run_table_tokens", sorted(table.token), sorted(row))
    if sorted(table.token) != sorted(row):
        return
    ours = columns if stages is None else _in_stages(columns, groups)
    found = ours[[row[token] for token in table.token]]
    yield Comparison(quantity="run_table", found=found, expected=table.values, tolerance=SUMS)
    yield from _summary(table, columns, stages)


def _in_stages(columns: Float[Array, "n c"], groups: list[Group]) -> Float[Array, "n d"]:
    """Columns of a table of two stages; a token fills those of its own."""
    first = np.isin(np.arange(len(columns)), [[group.now, group.prev] for group in groups])[:, None]
    values = columns[:, :SCORE]
    return np.concatenate([np.where(first, values, np.nan), np.where(first, np.nan, values), columns[:, SCORE:]], 1)


def _summary(table: ScoreTable, columns: Float[Array, "n c"], stages: TwoStage | None) -> Iterator[Comparison]:
    if stages is None:
        ours = {"average_all_frames": column_means(columns)}
    else:
        one, two, combined = (getattr(stages, part).mean(axis=0) for part in PARTS)
        blank = np.full(len(COLUMNS) - 1, np.nan)
        ours = {
            "extended_pdm_score_stage_one": np.concatenate([one[:SCORE], blank, one[SCORE:]]),
            "extended_pdm_score_stage_two": np.concatenate([blank, two]),
            "extended_pdm_score_combined": np.concatenate([one[:SCORE], two[:SCORE], combined[SCORE:]]),
        }
    for name, expected in table.summary.items():
        found = ours.get(name, np.zeros(0))
        yield Comparison(quantity="run_summary", found=found, expected=expected, tolerance=SUMS)
