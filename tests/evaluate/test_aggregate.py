"""Aggregation: the official aggregator's own numbers, and what must hold by construction."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from simscale.evaluate.aggregate import (
    COLUMNS,
    SCORE,
    Group,
    kernel_weights,
    token_columns,
    two_frame_comfort,
    two_stage,
)
from simscale.scene import PACIFICA, CarState
from simscale.scoring.rules import PARITY

TWO_STAGE = ("aggregate_random", "two_stage_mixed", "two_stage_cv", "two_stage_pdm_noisy")
ONE_STAGE = ("cv_non_reactive", "human_non_reactive", "pdm_noisy_non_reactive", "pdm_noisy_reactive")
REFERENCE_COLUMNS = (
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "driving_direction_compliance",
    "traffic_light_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "lane_keeping",
    "history_comfort",
    "two_frame_extended_comfort",
    "score",
)


@dataclass(frozen=True)
class Golden:
    """A run of the official scripts."""

    npz: dict[str, np.ndarray]
    json: dict

    def groups(self) -> list[Group]:
        row = {str(token): n for n, token in enumerate(self.npz["tokens"])}
        return [
            Group(now=row[now], prev=row[prev], pairs=np.array([[row[token] for token in pair] for pair in pairs]))
            for now, prev, pairs in self.json["mapping"]
        ]

    def columns(self, extended: np.ndarray) -> np.ndarray:
        return token_columns(self.npz["metrics"], extended, PARITY)

    def comfort(self, pairs: np.ndarray) -> np.ndarray:
        ego = CarState.unpacked(self.npz["sim_states"])
        return two_frame_comfort(ego, pairs, vehicle=PACIFICA, rules=PARITY)


def golden(shared: Path, name: str) -> Golden:
    stem = shared / "golden" / "scoring" / "two_stage" / name
    with np.load(stem.with_suffix(".npz")) as file:
        arrays = {key: file[key] for key in file.files}
    return Golden(npz=arrays, json=json.loads(stem.with_suffix(".json").read_text()))


@pytest.mark.shared
@pytest.mark.parametrize("name", TWO_STAGE)
def test_two_stages_are_the_references(shared: Path, name: str):
    official = golden(shared, name)
    groups = official.groups()
    pairs = np.concatenate([np.array([[g.now, g.prev]]) if part == 0 else g.pairs for g in groups for part in (0, 1)])
    extended = np.full(len(official.npz["tokens"]), np.nan)
    extended[pairs[:, 0]] = extended[pairs[:, 1]] = official.comfort(pairs)
    np.testing.assert_array_equal(extended, official.npz["ec"])

    columns = official.columns(extended)
    np.testing.assert_allclose(columns[:, SCORE], official.npz["score"], rtol=0, atol=1e-12)
    start_xy = official.npz["start_pose"][:, :2]
    found = two_stage(columns, groups, end_xy=official.npz["endpoint"], start_xy=start_xy)
    second = np.unique(np.concatenate([g.pairs.ravel() for g in groups]))
    np.testing.assert_allclose(found.weight[second], official.npz["weight"][second], rtol=0, atol=1e-9)
    for part in ("combined", "stage_one", "stage_two"):
        expected = [official.json[part][column] for column in REFERENCE_COLUMNS]
        np.testing.assert_allclose(getattr(found, part).mean(axis=0), expected, rtol=0, atol=1e-9)


@pytest.mark.shared
@pytest.mark.parametrize("name", ONE_STAGE)
def test_one_stage_is_the_references(shared: Path, name: str):
    official = golden(shared, f"one_stage_{name}")
    log, time = official.npz["log_name"], official.npz["start_time"]
    follows = (log[:, None] == log) & (time[:, None] - time > 0) & (time[:, None] - time < 0.55)
    pairs = np.argwhere(follows)
    extended = np.full(len(log), np.nan)
    extended[pairs[:, 0]] = official.comfort(pairs)
    np.testing.assert_array_equal(extended, official.npz["ec"])
    columns = official.columns(extended)
    np.testing.assert_allclose(columns[:, SCORE], official.npz["score"], rtol=0, atol=1e-12)


def test_a_start_at_the_planned_end_takes_all_the_weight_and_far_ones_share_alike():
    near = kernel_weights(np.zeros(2), np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 9.0]]))
    np.testing.assert_allclose(near, [1.0, 0.0, 0.0], atol=1e-12)
    far = kernel_weights(np.zeros(2), np.array([[3.0, 0.0], [20.0, 0.0], [0.0, 9.0], [5.0, 5.0]]))
    np.testing.assert_array_equal(far, np.full(4, 0.25))
    two = kernel_weights(np.zeros(2), np.array([[0.2, 0.0], [0.0, 0.4]]))
    np.testing.assert_allclose(two[1] / two[0], np.exp(-(0.16 - 0.04) / 0.2))


def test_columns_multiply_on_their_own():
    """The combined score is the mean of products, not the product of means."""
    columns = np.array([[1.0, 1.0], [0.5, 0.0], [0.25, 1.0], [0.75, 0.5]])
    group = Group(now=0, prev=1, pairs=np.array([[2, 3]]))
    here = np.zeros((4, 2))
    found = two_stage(columns, [group], end_xy=here, start_xy=here)
    np.testing.assert_allclose(found.stage_one[0], [0.75, 0.5])
    np.testing.assert_allclose(found.stage_two[0], [0.5, 0.75])
    np.testing.assert_allclose(found.combined[0], [(1 * 0.25 + 0.5 * 0.75) / 2, (1 * 1 + 0 * 0.5) / 2])


def test_what_failed_is_left_out_of_its_group_and_a_group_without_a_start_is_not_scored():
    rng = np.random.default_rng(0)
    columns, xy = rng.random((10, 3)), rng.normal(size=(10, 2)) * 0.2
    groups = [Group(now=0, prev=1, pairs=np.array([[2, 3], [4, 5]])), Group(now=6, prev=7, pairs=np.array([[8, 9]]))]
    scored = np.ones(10, dtype=bool)
    scored[[3, 6]] = False
    found = two_stage(columns, groups, end_xy=xy, start_xy=xy, scored=scored)
    alone = two_stage(columns, [Group(now=0, prev=1, pairs=np.array([[4, 5]]))], end_xy=xy, start_xy=xy)
    np.testing.assert_array_equal(found.combined[0], alone.combined[0])
    np.testing.assert_array_equal(found.scored, [True, False])
    assert np.isnan(found.combined[1]).all() and np.isnan(found.weight[[2, 3, 8, 9]]).all()


def test_missing_extended_comfort_drops_its_weight():
    sub_scores = np.ones((3, 8))
    sub_scores[:, COLUMNS.index("time_to_collision")] = 0.0
    scores = token_columns(sub_scores, np.array([1.0, 0.0, np.nan]), PARITY)[:, SCORE]
    np.testing.assert_allclose(scores, [11 / 16, 9 / 16, 9 / 14])
