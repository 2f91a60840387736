"""Lanes against NumPy."""

from typing import no_type_check

import numpy as np
from numba import njit

from simscale.splats.lane_functions import exp_of, log_of, sigmoid_of
from simscale.splats.lane_moves import lane_sums, transposed, triples
from simscale.splats.lanes import (
    all_of,
    any_of,
    bits_of,
    counting,
    floor_of,
    larger,
    load,
    load_where,
    magnitude,
    multiply_add,
    negative,
    root_of,
    smaller,
    store,
    store_where,
    where,
)

f32 = np.float32


@njit
@no_type_check
def _functions(x, out):
    a = load(x, 0)
    store(out, 0, exp_of(a))
    store(out, 16, log_of(magnitude(a)))
    store(out, 32, sigmoid_of(a))
    store(out, 48, where((a > f32(1)) & (a <= f32(3)), multiply_add(a, a, f32(2)), floor_of(a) / f32(2)))
    store(out, 64, root_of(smaller(larger(a, f32(0.5)), f32(2))))
    return bits_of(a > f32(0)), any_of(a > f32(100))


@njit
@no_type_check
def _flags(x):
    a = load(x, 0)
    minus = negative(a)
    return bits_of(minus), bits_of(~minus & (a < f32(3))), all_of(minus), all_of(minus & (a < f32(3)))


def test_functions_are_numpys():
    x = (np.random.default_rng(0).normal(size=16) * 5).astype(f32)
    out = np.empty(80, f32)
    bits, large = _functions(x, out)
    y = x.astype(np.float64)
    found = out.reshape(5, 16)
    np.testing.assert_allclose(found[0], np.exp(y), rtol=2e-7)
    np.testing.assert_allclose(found[1], np.log(np.abs(y)), rtol=3e-7, atol=1e-7)
    np.testing.assert_allclose(found[2], 1 / (1 + np.exp(-y)), rtol=2e-7)
    np.testing.assert_allclose(found[3], np.where((y > 1) & (y <= 3), y * y + 2, np.floor(y) / 2), rtol=1e-6)
    np.testing.assert_allclose(found[4], np.sqrt(np.clip(y, 0.5, 2)), rtol=1e-6)
    assert bits == sum(1 << i for i in range(16) if x[i] > 0)
    assert not large


def test_flags_are_numpys():
    x = (np.random.default_rng(1).normal(size=16) * 5).astype(f32)
    x[:4] = 0.0, -0.0, np.inf, -np.inf
    signs = np.signbit(x)
    minus, few, every, every_few = _flags(x)
    assert minus == sum(1 << i for i in range(16) if signs[i])
    assert few == sum(1 << i for i in range(16) if not signs[i] and x[i] < 3)
    assert not every and not every_few
    assert _flags(-np.abs(x) - f32(1)) == (2**16 - 1, 0, True, True)


@njit
@no_type_check
def _moves(x, out):
    store(out, 0, lane_sums(load(x, 0), load(x, 16), load(x, 32)))
    first, second, third = triples(load(x, 0), load(x, 16), load(x, 32))
    store(out, 16, first)
    store(out, 32, second)
    store(out, 48, third)
    rows = transposed(load(x, 0), load(x, 16), load(x, 32))
    for i in range(16):
        store(out, 64 + 16 * i, rows[i])
    few = counting() < f32(5)
    store_where(out, 320, load_where(x, 3, few), few)


def test_lanes_move_to_where_they_should():
    x = np.arange(48, dtype=f32) ** 2
    out = np.full(336, -1, f32)
    _moves(x, out)
    np.testing.assert_array_equal(out[:3], x.reshape(3, 16).sum(axis=1))
    assert not out[3:16].any()
    np.testing.assert_array_equal(out[16:64].reshape(3, 16), x.reshape(16, 3).T)
    rows = out[64:320].reshape(16, 16)
    np.testing.assert_array_equal(rows[:, :3], x.reshape(3, 16).T)
    assert not rows[:, 3:].any()
    np.testing.assert_array_equal(out[320:325], x[3:8])
    assert (out[325:] == -1).all()
