"""Streams: the same key is the same stream, and near keys have nothing in common."""

import itertools

import numpy as np

from simscale.scene.seeds import generator_of


def first(seed: int | np.integer, *key: str | int | np.integer) -> int:
    return int(generator_of(seed, *key).integers(2**62))


def test_the_same_key_draws_the_same_numbers_for_ever():
    assert first(0, "log-0010", 3, "cells") == first(0, "log-0010", 3, "cells")
    np.testing.assert_array_equal(
        generator_of(7, "token", 1).integers(0, 1000, 4), generator_of(7, "token", 1).integers(0, 1000, 4)
    )


def test_near_keys_draw_other_numbers():
    keys = [(0,), (1,), (0, "a"), (0, "a", "b"), (0, "ab"), (0, "a|b"), (0, 1), (0, "1"), (0, "a", 1), (-1,)]
    drawn = [first(*key) for key in keys]
    assert all(a != b for a, b in itertools.combinations(drawn, 2))


def test_a_numpy_integer_is_the_same_word_as_a_python_one():
    assert first(np.int64(5), np.int64(2)) == first(5, 2)


def test_the_stream_is_pinned():
    assert first(0, "token", 0, "cells") == 3271823034893054665
