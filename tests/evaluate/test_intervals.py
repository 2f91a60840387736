"""Intervals over drives."""

import numpy as np
import pytest

from simscale.evaluate.intervals import mean_with_interval, paired_difference


def test_drives_that_agree_leave_no_doubt():
    found = mean_with_interval(np.full(12, 40.0), np.repeat(np.arange(4), 3))
    assert (found.mean, found.low, found.high) == (40.0, 40.0, 40.0)
    assert (found.count, found.clusters) == (12, 4)


def test_the_same_witness_ten_times_is_one_witness():
    values = np.random.default_rng(1).normal(size=30)
    once = mean_with_interval(values, np.arange(30))
    often = mean_with_interval(np.repeat(values, 10), np.repeat(np.arange(30), 10))
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=1e-9)


def test_the_interval_is_that_of_the_normal_law_for_many_drives():
    values = np.random.default_rng(2).normal(size=400)
    found = mean_with_interval(values, np.arange(400))
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.01)
    assert found.high == pytest.approx(values.mean() + half, abs=0.01)


def test_pairs_take_out_what_drives_have_in_common():
    rng = np.random.default_rng(3)
    hard = rng.normal(scale=20.0, size=40)
    first, second = hard + 3.0 + rng.normal(size=40), hard + rng.normal(size=40)
    found = paired_difference(first, second, np.arange(40))
    assert 2.0 < found.low < found.mean < found.high < 4.0
    apart = mean_with_interval(first, np.arange(40))
    assert apart.high - apart.low > 5 * (found.high - found.low)


def test_missing_values_are_left_out_and_seeds_repeat():
    values, drive = np.array([1.0, np.nan, 3.0, np.nan]), np.array([0, 0, 1, 2])
    found = mean_with_interval(values, drive)
    assert found.mean == 2.0 and found.count == 2 and found.clusters == 2
    assert found == mean_with_interval(values, drive)
    assert np.isnan(mean_with_interval(np.full(3, np.nan), np.arange(3)).mean)
