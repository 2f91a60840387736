"""Splits: what a start is, and that the same seed gives the same ones."""

from itertools import combinations

import numpy as np
import pytest

from simscale.evaluate.laws import LAWS
from simscale.evaluate.seeds import TEST_SEEDS, TRAIN_SEEDS, VALIDATION_SEEDS
from simscale.evaluate.split_file import MANIFEST, STARTS, read_split, write_split
from simscale.evaluate.splits import BEFORE, SPLITS, seeds_of
from simscale.evaluate.starts import Split, Start
from simscale.scene import CarState
from simscale.scoring import contacts
from small_splits import hard, small_splits


def all_arrays(start: Start) -> list[np.ndarray]:
    state = start.traffic_state
    traffic = [] if state is None else [state.progress, state.speed, state.present]
    tracks = [start.tracks.xy, start.tracks.yaw, start.tracks.velocity, start.tracks.valid, start.tracks.size]
    return [start.ego.packed(), start.history.packed(), start.expert.xy, start.expert.yaw, *tracks, *traffic]


def assert_same(first: Split, second: Split) -> None:
    assert [s.token for s in first.starts] == [s.token for s in second.starts]
    np.testing.assert_array_equal(first.pairs, second.pairs)
    np.testing.assert_array_equal(first.drive, second.drive)
    for a, b in zip(first.groups, second.groups, strict=True):
        assert (a.now, a.prev) == (b.now, b.prev)
        np.testing.assert_array_equal(a.pairs, b.pairs)
    for a, b in zip(first.starts, second.starts, strict=True):
        assert (a.instant, a.anchor, a.stage, a.law) == (b.instant, b.anchor, b.stage, b.law)
        for x, y in zip(all_arrays(a), all_arrays(b), strict=True):
            np.testing.assert_array_equal(x, y)


def test_no_street_is_for_two_purposes_and_every_size_fits():
    assert all(not set(a) & set(b) for a, b in combinations((TRAIN_SEEDS, VALIDATION_SEEDS, TEST_SEEDS), 2))
    assert all(set(seeds_of(size)) <= set(TEST_SEEDS) for sizes in SPLITS.values() for size in sizes.values())


def test_the_same_seed_gives_the_same_starts():
    assert_same(small_splits().two, hard())


def test_a_group_is_two_chains_half_a_second_apart():
    split = small_splits().two
    assert split.groups and {start.law for start in split.starts} == {"", *LAWS}
    for group in split.groups:
        now, prev = split.starts[group.now], split.starts[group.prev]
        assert now.stage == prev.stage == 1 and now.instant - prev.instant == BEFORE
        for late, early in group.pairs:
            late, early = split.starts[late], split.starts[early]
            assert late.stage == early.stage == 2 and late.law == early.law
            assert late.instant == now.instant + 40 and early.instant == prev.instant + 40
            # The earlier start lies on the later one's own past.
            np.testing.assert_array_equal(late.history.packed()[-BEFORE], early.ego.packed())
            np.testing.assert_array_equal(late.history.packed()[:-BEFORE], early.history.packed()[BEFORE:])


def test_a_second_stage_start_touches_nobody_and_is_off_the_humans_path():
    split = small_splits().two
    for start in split.starts:
        if start.stage == 2 and not start.token.endswith("-prev"):
            ego = CarState.unpacked(start.ego.packed()[None, None])
            assert not contacts(ego, start.tracks, vehicle=start.scene.vehicle).any()
            assert np.hypot(*(start.ego.xy - start.scene.ego.xy[start.instant])) > 0.1


def test_the_unseen_law_goes_beyond_the_generators_window():
    split = small_splits().two
    aside = {law: [] for law in LAWS}
    for start in split.starts:
        if start.stage == 2 and not start.token.endswith("-prev"):
            off, yaw = start.ego.xy - start.scene.ego.xy[start.instant], start.scene.ego.yaw[start.instant]
            aside[start.law].append(abs(-np.sin(yaw) * off[0] + np.cos(yaw) * off[1]))
    assert max(aside["generator"]) <= 2.0 < max(aside["unseen"]) <= 4.0


def test_a_logged_start_holds_no_turning_and_fourteen_samples_of_history():
    start = small_splits().one.starts[0]
    assert start.ego.yaw_rate == start.ego.steer == 0.0 and len(start.history.yaw) == 14
    np.testing.assert_array_equal(start.history.xy[-1], start.scene.ego.xy[start.instant - 2])


@pytest.mark.parametrize("stages", [1, 2])
def test_a_split_comes_back_from_its_folder(tmp_path, stages):
    split = small_splits().one if stages == 1 else small_splits().two
    write_split(split, tmp_path, made_from={"seeds": (1, 2)})
    read = read_split(tmp_path, made_from={"seeds": (1, 2)})
    assert read is not None
    assert (read.name, read.size, read.stages) == (split.name, split.size, stages)
    assert_same(read, split)


def test_a_split_of_another_making_or_a_damaged_one_is_made_again(tmp_path):
    write_split(small_splits().one, tmp_path, made_from={"seeds": [1]})
    assert read_split(tmp_path, made_from={"seeds": [2]}) is None
    damaged = bytearray((tmp_path / STARTS).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / STARTS).write_bytes(damaged)
    assert read_split(tmp_path, made_from={"seeds": [1]}) is None
    (tmp_path / MANIFEST).unlink()
    assert read_split(tmp_path, made_from={"seeds": [1]}) is None
