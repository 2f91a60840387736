"""Savitzky-Golay filters as the reference applies them: parabolas fitted to a sliding window, then rounded.

A filter is linear, so it is a few numbers for a length, made once by SciPy: how much each sample of the window counts.
Each signal is filtered by itself, sample by sample in the same order, so that a batch changes nothing.
"""

from functools import cache
from typing import Any, NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float
from numba import njit
from scipy.signal import savgol_filter

from simscale.scene import DT
from simscale.scoring.ring_index import UNCOUNTED

Array = np.ndarray

ROUNDED = 1e8
"""The reference rounds every intermediate signal to 8 decimals."""


class Filter(NamedTuple):
    """Weights of a filter for signals of one length, as arrays that kernels take as one argument."""

    weight: Array  # [t w] what each sample of a window counts for each output
    first: Array  # [t] where the window of each output begins


@cache
def filter_of(length: int, window: int, order: int, derivative: int) -> Any:  # a Filter: the import hook wraps it
    """The filter for signals of `length` samples at 10 Hz; at both ends it goes on with the window's parabola.

    QUIRK Q3: the acceleration's window is even (8), so its value belongs half a sample later: SciPy's own behaviour.
    """
    response = np.asarray(savgol_filter(np.eye(length), window, order, deriv=derivative, delta=DT, axis=0))
    output, half = np.arange(length), window // 2
    first = np.where(output < half, 0, np.where(output >= length - half, length - window, output - (window - 1) // 2))
    weight = response[output[:, None], first[:, None] + np.arange(window)]
    return Filter(np.ascontiguousarray(weight), first)


def smoothed(signal: Float[Array, "k t"], window: int, order: int, derivative: int = 0) -> Float[Array, "k t"]:
    """A signal at 10 Hz, or a derivative of it, by a Savitzky-Golay filter, rounded as the reference does."""
    fit = filter_of(signal.shape[1], window, order, derivative)
    return _smoothed(np.ascontiguousarray(signal, dtype=np.float64), fit)


@njit(cache=True)
@no_type_check
def _smoothed(signal, fit):
    out = np.empty_like(signal)
    for k in range(len(signal)):
        smooth(signal[k], fit, out[k])
    return out


@njit(**UNCOUNTED)
@no_type_check
def smooth(signal, fit, out):
    """Writes one filtered signal into `out`."""
    weight, first = fit.weight, fit.first
    length, window = weight.shape
    half = window // 2
    # The weights of all windows that do not touch an end are those of the first of them: many outputs grow at once.
    for i in range(length):
        out[i] = 0.0
    for j in range(window):
        share = weight[min(half, length - 1), j]
        lead = j - (window - 1) // 2
        for i in range(half, length - half):
            out[i] += share * signal[i + lead]
    for end in range(2 * half):
        i = end if end < half else length - 2 * half + end
        for j in range(window):
            out[i] += weight[i, j] * signal[first[i] + j]
    for i in range(length):
        out[i] = np.rint(out[i] * ROUNDED) / ROUNDED
