"""What SimScale's own scorer gave for twelve scenes, kept in our bytes: its raw scores, and its pickled columns."""

from pathlib import Path

import numpy as np
import pytest

from simscale.dataset.rewards_code import MODES, coded, plain_table, progress_table, rewards_of
from simscale.dataset.rewards_pickle import PUBLISHED, coded_columns
from simscale.scoring.rules import PARITY
from simscale.scoring.scores import FirstFailures, Scores, total_of
from simscale.scoring.vocabulary import COLUMNS, VocabularyScores

pytestmark = [pytest.mark.shared, pytest.mark.parametrize("number", (0, 2, 3, 5, 8, 9, 11, 18, 20, 22, 24, 27))]

HALF = 2.0**-11  # of float16, in which the columns are published


def golden(shared: Path, number: int) -> dict[str, np.ndarray]:
    with np.load(shared / "golden" / "scoring" / "vocab" / f"scene_{number:03d}.npz") as file:
        return {name: file[name] for name in file.files}


def scores_of(rows: slice, stored: dict[str, np.ndarray]) -> Scores:
    """Raw scores of PDM-Closed (row 0), or of the vocabulary."""
    collision, road, lights, direction = stored["eval_raw_multi"][rows].T
    progress, on_time, lane, comfort = stored["eval_raw_weighted"][rows, :4].T
    multiplier = collision * road * lights * direction
    return Scores(
        no_at_fault_collision=collision,
        drivable_area=road,
        driving_direction=direction,
        traffic_light=lights,
        progress=progress,
        time_to_collision=on_time,
        lane_keeping=lane,
        history_comfort=comfort,
        multiplier=multiplier,
        total=total_of(multiplier, progress, on_time, lane, comfort, PARITY),
        progress_m=stored["progress_raw"][rows],
        first=FirstFailures(**dict.fromkeys(FirstFailures.__dataclass_fields__, np.full(len(multiplier), -1))),
    )


def columns_of(mode: str, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {ours: stored[f"{mode}_{theirs}"].astype(np.float64) for theirs, ours in PUBLISHED.items()}


def test_raw_scores_are_kept(shared: Path, number: int):
    stored = golden(shared, number)
    one = coded(VocabularyScores(plans=scores_of(slice(1, None), stored), expert=scores_of(slice(1), stored)), None)
    for mode in MODES:
        table = progress_table(one.best_m, one.expert_m, mode)[None]
        back = rewards_of(one.row[None], table, one.failed[None], size=128, human_filter="off")
        measured, *kept = stored[f"{mode}_raw_weighted"][1:, :4].T
        np.testing.assert_allclose(back.progress[0], measured, rtol=0, atol=1 / 255 + 1e-6)
        for name, wanted in zip(("time_to_collision", "lane_keeping", "history_comfort"), kept, strict=True):
            np.testing.assert_array_equal(getattr(back, name)[0], wanted)
        np.testing.assert_allclose(back.total[0], stored[f"{mode}_raw_pdm"][1:], rtol=0, atol=5 / 14 / 255 + 1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_pickled_columns_are_kept_and_their_totals_explained(shared: Path, number: int, mode: str):
    wanted = columns_of(mode, golden(shared, number))
    one, explained = coded_columns(Path("run.pkl"), "token", wanted, size=128)
    assert explained
    back = rewards_of(one.row[None], plain_table()[None], one.failed[None], size=128, human_filter="legacy")
    for name in COLUMNS:
        near = {"progress": 0.5 / 255, "total": 0.5 * 5 / 14 / 255 + HALF}.get(name, 0.0)
        np.testing.assert_allclose(getattr(back, name)[0], wanted[name], rtol=0, atol=near + 1e-6)
