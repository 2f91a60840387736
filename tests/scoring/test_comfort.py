"""Comfort's filters are SciPy's, and the verdict is what the signals say."""

import numpy as np
import pytest
from scipy.signal import savgol_filter

from simscale.scene import DT, PACIFICA, CarState
from simscale.scoring import PARITY, comfort_signals, history_comfort
from simscale.scoring.comfort import within_limits
from simscale.scoring.smoothing import smoothed


@pytest.mark.parametrize("fit", [(8, 2, 0), (15, 2, 1), (5, 2, 1), (5, 3, 2), (41, 2, 0), (41, 2, 1)])
@pytest.mark.parametrize("length", [41, 55])
def test_signals_are_filtered_as_scipy_does(fit, length):
    window, order, derivative = fit
    signal = np.random.default_rng(1).normal(0, 3, (5, length))
    wanted = np.asarray(savgol_filter(signal, window, order, deriv=derivative, delta=DT, axis=1))
    np.testing.assert_allclose(smoothed(signal, window, order, derivative), wanted, rtol=0, atol=1.1e-8)


PAST = 14


def wobbling(rng: np.random.Generator, count: int) -> CarState:
    """Drives that are alike at first, then come near the limits of comfort; some turn past half a turn."""
    since = np.clip((np.arange(PAST + 41) - PAST) / 20, 0.0, 1.0)
    packed = np.zeros((count, len(since), 11))
    packed[..., 2] = 2.5 + np.cumsum(DT * since * rng.uniform(-1.0, 1.1, (count, 1)), axis=1)
    packed[..., 2] = (packed[..., 2] + np.pi) % (2 * np.pi) - np.pi
    packed[..., 5] = since * rng.uniform(-3.5, 2.2, (count, 1))
    packed[..., 6] = since * rng.uniform(-2.0, 2.0, (count, 1))
    packed[..., 9:] = since[:, None] * rng.uniform(-0.3, 0.3, (count, 1, 2))
    packed[:, PAST:] += rng.choice([0.0, 1.0], (count, 1, 1)) * rng.normal(0, 0.02, (count, 41, 11))
    return CarState.unpacked(packed)


@pytest.mark.parametrize("own_history", [False, True])
def test_the_verdict_is_what_the_signals_say(own_history):
    whole = wobbling(np.random.default_rng(2), 400)
    wanted = within_limits(comfort_signals(whole, vehicle=PACIFICA), PARITY)
    history = whole[:, :PAST] if own_history else whole[0, :PAST]
    assert 40 < wanted.sum() < 360
    np.testing.assert_array_equal(history_comfort(whole[:, PAST:], history, vehicle=PACIFICA, rules=PARITY), wanted)
