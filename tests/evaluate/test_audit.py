"""Published tables explained: what is equal, what only the legacy filter explains, and what nothing explains."""

import gzip
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from command import code_of, told
from simscale.evaluate.aggregate import SCORE, token_columns
from simscale.evaluate.audit import EQUAL, LEGACY, NOT_SCORED, UNEXPLAINED, Audit, audited
from simscale.evaluate.table import (
    COLUMNS_OF,
    PDMS_NAMES,
    REFERENCE_NAMES,
    SUMMARY_OF,
    ScoreTable,
    column_means,
    read_table,
    table_csv,
)
from simscale.scoring.rules import PARITY

HALF = ("no_at_fault_collisions", "driving_direction_compliance")
FILTERED = [c for c, name in enumerate(REFERENCE_NAMES[:8]) if name not in ("ego_progress", "history_comfort")]


def drawn(rows: int, seed: int = 0) -> np.ndarray:
    """Unfiltered columns as a scorer gives them, with their score."""
    rng = np.random.default_rng(seed)
    columns = (rng.random((rows, 9)) < 0.85).astype(float)
    for name in HALF:
        column = columns[:, REFERENCE_NAMES.index(name)]
        column[rng.random(rows) < 0.1] = 0.5
    columns[:, REFERENCE_NAMES.index("ego_progress")] = 1.0 - 0.5 * rng.random(rows) ** 3
    columns[rng.random(rows) < 0.2, 8] = np.nan
    return token_columns(columns[:, :8], columns[:, 8], PARITY)


def one_stage(values: np.ndarray) -> ScoreTable:
    return ScoreTable(
        kind="one-stage",
        token=tuple(f"{n:016x}" for n in range(len(values))),
        valid=np.ones(len(values), dtype=bool),
        values=values,
        summary={"average_all_frames": column_means(values)},
    )


def by_human(values: np.ndarray, *, fixed: bool, seed: int = 1) -> np.ndarray:
    """What a human filter makes of rows; the human fails now and then what it can fail."""
    rng = np.random.default_rng(seed)
    shown = values.copy()
    shown[:, FILTERED] = np.where(rng.random((len(values), len(FILTERED))) < 0.1, 1.0, values[:, FILTERED])
    if fixed:
        shown[:, SCORE] = token_columns(shown[:, :8], shown[:, 8], PARITY)[:, SCORE]
    return shown


def test_both_filters_are_told_apart_and_every_row_of_either_is_explained():
    drives = drawn(3000)
    fixed, legacy = (audited(one_stage(by_human(drives, fixed=which))) for which in (True, False))
    assert (fixed.filter, legacy.filter) == ("fixed", "legacy")
    assert fixed.explained and legacy.explained
    assert (fixed.verdict == EQUAL).all()
    shown = by_human(drives, fixed=False)
    lower = shown[:, SCORE] < token_columns(shown[:, :8], shown[:, 8], PARITY)[:, SCORE] - 1e-9
    assert lower.sum() > 100
    np.testing.assert_array_equal(legacy.verdict == LEGACY, lower)
    untouched = audited(one_stage(drives))
    assert untouched.filter == "fixed" and untouched.explained


def row(score: float | None = None, **columns: float) -> np.ndarray:
    """A row of ones, with some other numbers."""
    values = np.ones(10)
    for name, value in columns.items():
        values[REFERENCE_NAMES.index(name)] = value
    values[SCORE] = token_columns(values[None, :8], values[None, 8], PARITY)[0, SCORE] if score is None else score
    return values


def verdict_of(values: np.ndarray) -> int:
    return int(audited(one_stage(values[None])).verdict[0])


def test_what_the_legacy_filter_can_and_cannot_have_done():
    assert verdict_of(row()) == EQUAL
    assert verdict_of(row(11 / 16)) == LEGACY  # a failed time-to-collision, or ...
    assert verdict_of(row(9 / 16)) == LEGACY  # ... lane keeping with it; but not ...
    assert verdict_of(row(6 / 16)) == UNEXPLAINED  # ... both of weight 5: one is progress, never filtered
    assert verdict_of(row(9 / 16, history_comfort=0.0)) == LEGACY
    assert verdict_of(row(14 / 16)) == LEGACY  # lane keeping
    assert verdict_of(row(12 / 16)) == UNEXPLAINED  # the human's comfort is never 0, EC is not filtered
    assert verdict_of(row(12 / 14, two_frame_extended_comfort=np.nan)) == LEGACY
    assert verdict_of(row(0.5)) == LEGACY  # a half collision, or half a wrong lane
    assert verdict_of(row(0.25)) == LEGACY  # both
    assert verdict_of(row(0.125)) == UNEXPLAINED
    assert verdict_of(row(0.0)) == LEGACY
    # what is shown as less than 1 was not filtered
    assert verdict_of(row(0.25, driving_direction_compliance=0.5)) == LEGACY
    assert verdict_of(row(0.125, driving_direction_compliance=0.5)) == UNEXPLAINED
    assert verdict_of(row(14 / 16, lane_keeping=0.0)) == EQUAL
    assert verdict_of(row(12 / 16, lane_keeping=0.0)) == UNEXPLAINED
    # nothing raises a score
    assert verdict_of(row(1.0, lane_keeping=0.0)) == UNEXPLAINED
    assert verdict_of(row(14 / 16 + 2e-9, lane_keeping=0.0)) == UNEXPLAINED
    assert verdict_of(row(14 / 16 + 5e-10, lane_keeping=0.0)) == EQUAL


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lane_keeping": np.nan, "score": 1.0}, "lane_keeping is blank"),
        ({"score": np.nan}, "score is blank"),
        ({"score": np.inf}, "score is inf, which no scorer gives"),
        ({"drivable_area_compliance": 0.5}, "drivable_area_compliance is 0.5, which no scorer gives"),
        ({"ego_progress": 1.5}, "ego_progress is 1.5, which no scorer gives"),
        ({"ego_progress": -0.5}, "ego_progress is -0.5, which no scorer gives"),
        ({"score": 0.9}, "score is 0.9, its columns give 1.0"),
    ],
)
def test_a_broken_row_is_named(change: dict, words: str):
    values = drawn(5)
    values[3] = row(**change)
    audit = audited(one_stage(values))
    assert audit.problems == ((f"{3:016x}", words),) and not audit.explained
    np.testing.assert_array_equal(audit.verdict == UNEXPLAINED, np.arange(5) == 3)


def test_the_summary_must_be_the_mean_of_the_rows():
    table = one_stage(drawn(50))
    table.summary["average_all_frames"][4] += 1e-6
    audit = audited(table)
    assert audit.problems == (("average_all_frames", "1 of 10 numbers are not the means of the rows"),)
    assert audit.summary["average_all_frames"].worst == pytest.approx(1e-6)
    audit = audited(replace(table, summary={}))
    assert audit.problems == (("average_all_frames", "is missing"),)


def test_tokens_that_failed_are_counted_and_left_out_of_the_mean():
    values = drawn(20)
    values[7] = np.nan
    table = one_stage(values)
    table.valid[7] = False
    audit = audited(table)
    assert audit.explained and (audit.verdict == NOT_SCORED).sum() == 1
    table.values[7, 2] = 1.0
    assert audited(table).problems[0] == (f"{7:016x}", "is marked as not valid, and has numbers")


def test_a_token_stands_once():
    table = one_stage(drawn(3))
    audit = audited(replace(table, token=("a", "b", "a")))
    assert audit.problems == (("a", "stands in the table 2 times"),)


def test_the_old_score_has_weights_of_its_own():
    rng = np.random.default_rng(5)
    values = (rng.random((200, 7)) < 0.8).astype(float)
    values[:, 2] = rng.random(200)
    values[:, 6] = values[:, 0] * values[:, 1] * (5 * values[:, 2] + 5 * values[:, 3] + 2 * values[:, 4]) / 12
    table = replace(one_stage(np.ones((200, 10))), kind="pdms-v1", values=values, summary={"average": values.mean(0)})
    audit = audited(table)
    assert audit.explained and audit.filter == "none" and PDMS_NAMES[5] == "driving_direction_compliance"
    values[0, 6] = values[0, 6] / 2 + 0.1
    assert not audited(table).explained


def two_stage(first: np.ndarray, second: np.ndarray) -> ScoreTable:
    blank = np.full((len(first) + len(second), 9), np.nan)
    both = np.concatenate([first, second])
    values = np.column_stack([blank, blank, both[:, 9]])
    values[: len(first), :9], values[len(first) :, 9:18] = first[:, :9], second[:, :9]
    nothing, one, two = np.full(9, np.nan), column_means(first), column_means(second)
    rows = ((one[:9], nothing, one[9:]), (nothing, two[:9], two[9:]), (one[:9], two[:9], one[9:] * two[9:]))
    summary = {name: np.concatenate(row) for name, row in zip(SUMMARY_OF["two-stage"], rows, strict=True)}
    return replace(one_stage(values), kind="two-stage", summary=summary)


def test_the_second_stage_has_no_human():
    first, second = drawn(30, seed=1), drawn(40, seed=2)
    assert audited(two_stage(first, second)).explained
    legacy = audited(two_stage(by_human(first, fixed=False), second))
    assert legacy.explained and legacy.filter == "legacy"
    wrong = audited(two_stage(first, by_human(second, fixed=False)))
    assert (wrong.verdict == UNEXPLAINED).sum() > 0 and not wrong.explained


def test_weighted_means_are_held_between_what_the_rows_allow():
    table = two_stage(drawn(30, seed=1), drawn(40, seed=2))
    combined = table.summary["extended_pdm_score_combined"]
    one, two = (table.summary[f"extended_pdm_score_stage_{stage}"][-1] for stage in ("one", "two"))
    for score, good in ((min(one, two), True), (min(one, two) + 1e-6, False), (max(one + two - 1, 0) - 1e-6, False)):
        combined[-1] = score
        assert audited(table).explained == good
    combined[-1] = one * two
    table.summary["extended_pdm_score_stage_two"][9 + 4] = 0.1  # less progress than any row has
    assert ("extended_pdm_score_stage_two", "1 of 10 numbers are beyond what the rows allow") in audited(table).problems


COUNTS = {
    "ltf_sim_navtest": (12146, 1466, 2106),
    "diffusiondrive_sim_navtest": (12146, 1500, 2106),
    "ltf_sim_navhard": (5912, 67, 0),
    "gtrs_dense_vov_sim_reward_navhard": (5912, 60, 0),
}


@pytest.mark.shared
def test_every_row_of_the_published_tables_is_explained(shared: Path):
    legacy, second = 0, 0
    for name, (rows, lower, without) in COUNTS.items():
        table = read_table(shared / "navsim/result_csv" / f"{name}.csv.gz")
        audit = audited(table)
        assert audit.explained and audit.filter == "legacy" and len(audit.verdict) == rows
        assert (audit.verdict == LEGACY).sum() == lower and (audit.verdict == EQUAL).sum() == rows - lower
        assert np.isnan(table.of_stage(1)[table.stage == 1, 8]).sum() == without
        second += int((audit.verdict[table.stage == 2] == EQUAL).sum())
        legacy += lower
        for check in audit.summary.values():
            assert check.equal == check.compared and check.within == check.bounded and check.worst < 1e-12
    assert (legacy, second) == (3093, 10924)


@pytest.mark.shared
def test_the_fixed_filter_says_more_for_the_same_drives(shared: Path):
    """The figures of scoring.md 7.3."""
    for name, stage, published, fixed in (
        ("ltf_sim_navtest", 1, 84.4, 87.8),
        ("diffusiondrive_sim_navtest", 1, 85.9, 89.4),
        ("ltf_sim_navhard", 1, 66.3, 73.4),
    ):
        audit: Audit = audited(read_table(shared / "navsim/result_csv" / f"{name}.csv.gz"))
        rows = audit.table.stage == stage
        assert round(100 * audit.table.values[rows, -1].mean(), 1) == published
        assert round(100 * audit.recomputed[rows].mean(), 1) == fixed


@pytest.mark.shared
def test_the_references_own_runs_have_the_fixed_filter(shared: Path):
    for path in sorted((shared / "golden/scoring/two_stage").glob("*_*.csv")):
        audit = audited(read_table(path))
        assert audit.explained and audit.filter == "fixed", path.name


def test_a_million_rows_take_seconds(tmp_path: Path):
    values = np.tile(by_human(drawn(10_000), fixed=False), (100, 1))
    table = one_stage(values)
    began = time.process_time()
    audit = audited(table)
    assert time.process_time() - began < 60.0
    assert audit.explained and len(audit.verdict) == 1_000_000


def test_the_command_says_counts_filter_and_rows(tmp_path: Path, capsys):
    values = by_human(drawn(200), fixed=False)
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(table_csv(one_stage(values)).encode()))
    assert code_of("aggregate", path, "--json") == 0
    out, err = capsys.readouterr()
    said = told(out)
    assert said["filter"] == "legacy" and said["rows"] == 200 and said["equal"] + said["legacy"] == 200
    assert "legacy human filter" in err and f"{said['legacy']}  consistent" in err
    values[5, SCORE] = 0.123
    path.write_bytes(gzip.compress(table_csv(one_stage(values)).encode()))
    assert code_of("aggregate", path, "--json") == 1
    out, err = capsys.readouterr()
    assert told(out)["unexplained"] == 1 and f"not explained: {5:016x}: score is 0.123" in err
    assert code_of("aggregate", tmp_path / "nothing.csv") == 2
    assert "nothing.csv: file is missing" in capsys.readouterr().err
    assert len(COLUMNS_OF) == 3
