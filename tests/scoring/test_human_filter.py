"""Human filters: SimScale's own fork for the legacy one, and what tells them apart."""

from dataclasses import fields

import numpy as np
import pytest

from simscale.scoring import PARITY
from simscale.scoring.human_filter import SUB_SCORES, human_filtered, human_filtered_legacy
from simscale.scoring.scores import FirstFailures, Scores, total_of

VOCABULARIES = (0, 2, 3, 5, 8, 9, 11, 18, 20, 22, 24, 27)
MULTIPLIERS = ("no_at_fault_collision", "drivable_area", "traffic_light", "driving_direction")
WEIGHTED = ("progress", "time_to_collision", "lane_keeping", "history_comfort")


def scores_of(multipliers: np.ndarray, weighted: np.ndarray) -> Scores:
    """Scores from the goldens' rows: four multipliers, and four or more weighted."""
    named = dict(zip(MULTIPLIERS, multipliers.T, strict=True)) | dict(zip(WEIGHTED, weighted.T[:4], strict=True))
    multiplier, none = multipliers.prod(axis=1), np.full(len(multipliers), -1)
    return Scores(
        **named,
        multiplier=multiplier,
        total=total_of(multiplier, *(named[name] for name in WEIGHTED), PARITY),
        progress_m=np.zeros(len(multipliers)),
        first=FirstFailures(**{field.name: none for field in fields(FirstFailures)}),
    )


def shown(scores: Scores) -> np.ndarray:
    return np.stack([getattr(scores, name) for name in SUB_SCORES], axis=-1)


@pytest.mark.shared
@pytest.mark.parametrize("number", VOCABULARIES)
def test_both_filters_on_the_references_own_drives(shared, number):
    golden = np.load(shared / "golden/scoring/scenes" / f"scene_{number:03d}.npz")
    fork = np.load(shared / "golden/scoring/vocab" / f"scene_{number:03d}.npz")
    human = scores_of(golden["nr_human_multi"][None], golden["nr_human_weighted"][None])
    drives = scores_of(golden["nr_multi"], golden["nr_weighted"])
    fixed, legacy = human_filtered(drives, human, PARITY), human_filtered_legacy(drives, human)
    np.testing.assert_array_equal(shown(fixed), golden["nr_final"])
    np.testing.assert_array_equal(fixed.multiplier, golden["nr_final_mult"])
    np.testing.assert_array_equal(shown(legacy), fork["legacy_filter_final"])
    np.testing.assert_array_equal(legacy.multiplier, fork["legacy_filter_mult"])
    np.testing.assert_allclose(legacy.total, fork["legacy_filter_pdm_score"], rtol=0, atol=1e-12)


def test_the_legacy_filter_shows_more_than_it_counts():
    drives = scores_of(np.array([[0.0, 1.0, 1.0, 1.0], [0.5, 1.0, 1.0, 0.0]]), np.ones((2, 4)))
    human = scores_of(np.array([[0.0, 1.0, 1.0, 0.5]]), np.ones((1, 4)))
    fixed, legacy = human_filtered(drives, human, PARITY), human_filtered_legacy(drives, human)
    np.testing.assert_array_equal(shown(fixed), shown(legacy))
    np.testing.assert_array_equal(fixed.multiplier, [1.0, 0.0])  # a human's 0.5 excuses nothing
    np.testing.assert_array_equal(legacy.multiplier, drives.multiplier)
    np.testing.assert_array_equal(legacy.total, [1.0, 1.0])  # the human's total is 0


def test_a_human_without_fault_changes_nothing():
    rng = np.random.default_rng(0)
    drives = scores_of(rng.integers(0, 3, (20, 4)) / 2, rng.random((20, 4)))
    human = scores_of(np.array([[1.0, 1.0, 1.0, 0.5]]), np.ones((1, 4)))
    for filtered in (human_filtered(drives, human, PARITY), human_filtered_legacy(drives, human)):
        np.testing.assert_array_equal(shown(filtered), shown(drives))
        np.testing.assert_allclose(filtered.total, drives.total, rtol=0, atol=1e-15)
