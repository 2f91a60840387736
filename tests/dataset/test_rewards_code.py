"""Rewards as bytes: sub-scores to the last bit, both measures of progress to 1/255, in 17 bits a trajectory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_rewards import made_scores, made_vocabulary
from simscale.dataset.rewards_code import (
    HALVES,
    MODES,
    MULTIPLIERS,
    WHOLES,
    CodedRewards,
    Rewards,
    coded,
    plain_table,
    progress_table,
    rewards_of,
    row_width,
)
from simscale.scoring.scores import Scores
from simscale.scoring.vocabulary import COLUMNS, filtered_columns

STEP = 1 / 255 + 1e-6  # the code is float32


def unpacked(one: CodedRewards, size: int, mode: str = "eval", human_filter: str = "off") -> Rewards:
    table = progress_table(one.best_m, one.expert_m, mode)
    return rewards_of(one.row[None], table[None], one.failed[None], size=size, human_filter=human_filter)


@pytest.mark.parametrize("size", [1, 7, 8, 300, 16_384])
def test_a_row_keeps_its_promise(size):
    one = coded(made_vocabulary(1, size), None)
    assert len(one.row) == row_width(size)
    assert row_width(16_384) == 34_816 <= 36_000


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), metres=st.floats(0, 150), expert_metres=st.floats(0, 150))
def test_sub_scores_are_exact_and_both_measures_of_progress_within_a_255th(seed, metres, expert_metres):
    wanted = made_vocabulary(seed, 200, metres=metres, expert_metres=expert_metres)
    one = coded(wanted, None)
    for mode in MODES:
        back, asked = unpacked(one, 200, mode), wanted.measured(mode).plans
        for name in (*HALVES, *WHOLES):
            np.testing.assert_array_equal(getattr(back, name)[0], getattr(asked, name))
        np.testing.assert_allclose(back.progress[0], asked.progress, rtol=0, atol=STEP)
        np.testing.assert_allclose(back.total[0], asked.total, rtol=0, atol=5 / 14 * STEP)


def test_the_ends_of_progress_are_exact():
    wanted = made_vocabulary(3, 2000)
    for mode in MODES:
        back, asked = unpacked(coded(wanted, None), 2000, mode).progress[0], wanted.measured(mode).plans.progress
        blind = wanted.plans.multiplier == 0.0
        np.testing.assert_array_equal(back[asked == 0.0][blind[asked == 0.0]], 0.0)
        both_full = (asked == 1.0) & (wanted.measured("eval").plans.progress == 1.0) & ~blind
        np.testing.assert_array_equal(back[both_full & (wanted.measured("gen_gt").plans.progress == 1.0)], 1.0)


def test_where_nobody_gets_far_progress_is_one():
    wanted = made_vocabulary(4, metres=4.0, expert_metres=4.0)
    for mode in MODES:
        np.testing.assert_array_equal(unpacked(coded(wanted, None), 500, mode).progress, 1.0)


@pytest.mark.parametrize("human_filter", ["off", "fixed", "legacy"])
@pytest.mark.parametrize("mode", MODES)
def test_the_human_filter_is_applied_when_read(human_filter, mode):
    wanted = made_vocabulary(5)
    rng = np.random.default_rng(9)
    human = made_scores(rng, 1, metres=10.0)
    for failing in ({}, {"time_to_collision"}, {"lane_keeping", "drivable_area"}):
        failed = {name: np.array([0.0 if name in failing else 1.0]) for name in (*HALVES, *WHOLES)}
        gone = np.prod([failed[name] for name in MULTIPLIERS], axis=0)
        verdict = Scores(**vars(human) | failed | {"multiplier": gone, "total": gone})
        back = unpacked(coded(wanted, verdict), 500, mode, human_filter)
        asked = filtered_columns(wanted.measured(mode).plans, verdict, human_filter=human_filter)
        ours = np.stack([getattr(back, name)[0] for name in COLUMNS], axis=-1)
        np.testing.assert_allclose(ours, asked, rtol=0, atol=STEP)


def test_a_batch_reads_as_its_tokens_do():
    some = [coded(made_vocabulary(seed, 50), None) for seed in range(5)]
    tables = np.stack([progress_table(one.best_m, one.expert_m, "gen_gt") for one in some])
    failed = np.zeros((5, 9), dtype=bool)
    failed[2, COLUMNS.index("lane_keeping")] = failed[3, COLUMNS.index("total")] = True
    rows = np.stack([one.row for one in some])
    batch = rewards_of(rows, tables, failed, size=50, human_filter="legacy")
    for i in range(5):
        alone = rewards_of(rows[i : i + 1], tables[i : i + 1], failed[i : i + 1], size=50, human_filter="legacy")
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(batch, name)[i])


def test_a_code_of_one_measure_is_that_measure():
    np.testing.assert_allclose(plain_table()[3], np.arange(256) / 255, atol=1e-7)
