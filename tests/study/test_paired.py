import numpy as np
import pytest

from simscale.study import paired_gain


def test_three_pairs_with_their_interval():
    gain = paired_gain(np.array([40.0, 50.0, 45.0]), np.array([50.0, 62.0, 53.0]))
    assert gain.gain == pytest.approx(10.0)
    # differences 10, 12, 8: s = 2, t(0.975, 2) = 4.302653, half width 4.302653 * 2 / sqrt(3)
    assert gain.high - gain.gain == pytest.approx(4.302653 * 2 / np.sqrt(3), rel=1e-6)
    assert gain.gain - gain.low == pytest.approx(gain.high - gain.gain)


def test_what_both_arms_share_does_not_count():
    before, after = np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.5, 4.5])
    seed_effect = np.array([30.0, -20.0, 7.0])
    shifted = paired_gain(before + seed_effect, after + seed_effect)
    assert shifted.gain == pytest.approx(paired_gain(before, after).gain)
    assert shifted.low == pytest.approx(paired_gain(before, after).low)


def test_one_pair_proves_nothing():
    assert paired_gain(np.array([1.0]), np.array([9.0])).low == -np.inf


def test_the_interval_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        gain = paired_gain(np.zeros(3), generator.normal(5.0, 2.0, 3))
        held += gain.low <= 5.0 <= gain.high
    assert 930 <= held <= 970
