"""Rewards of a moment: the judge's own verdict on each trajectory, and the expert's answer is as good as it was."""

import numpy as np
import pytest

from simscale.dataset.shards import read_samples
from simscale.evaluate.judge import judged, log_replay
from simscale.evaluate.rewarding import rewarded_log, rewarded_sample
from simscale.evaluate.splits import logged_start
from simscale.generate.place import centre_line_of
from simscale.scene import Plan, Scene
from simscale.scene.file import read_scene, scene_files
from simscale.scoring.rules import PARITY
from simscale.scoring.vocabulary import filtered_columns

INSTANT = 40


@pytest.fixture(scope="module")
def scene(tiny_scenes) -> Scene:
    return read_scene(scene_files(tiny_scenes)[0])


def plans_of(path, rows: slice) -> Plan:
    poses = np.load(path)[rows].astype(np.float64)
    return Plan(xy=poses[..., :2], yaw=poses[..., 2], dt=0.1)


def test_each_trajectory_is_rewarded_as_it_is_judged(scene, tiny_vocabulary):
    """The slow twin: one plan at a time, as an evaluation drives and scores it."""
    start = logged_start(scene, centre_line_of(scene), INSTANT)
    plans = plans_of(tiny_vocabulary, slice(0, None, 60))
    for k in range(len(plans.yaw)):
        one = Plan(xy=plans.xy[k : k + 1], yaw=plans.yaw[k : k + 1], dt=plans.dt)
        rewarded = rewarded_log(scene, INSTANT, one)
        columns = filtered_columns(rewarded.scores.plans, rewarded.human, human_filter="fixed")[0]
        plan = Plan(xy=plans.xy[k], yaw=plans.yaw[k], dt=plans.dt)
        verdict = judged(start, plan, around=log_replay(), rules=PARITY)
        np.testing.assert_allclose(columns[:8], verdict.sub_scores, rtol=0, atol=1e-9)
        assert columns[8] == pytest.approx(float(verdict.scores.total[0]), abs=1e-9)
    assert rewarded.token == start.token and rewarded.driver == "human"


def test_an_experts_answer_is_rewarded_as_it_was_accepted(scene, tiny_dataset):
    """The others do what they did beside it, so whatever it was accepted for holds again."""
    samples = [sample for sample in read_samples(tiny_dataset.folder) if sample.log == scene.id][:3]
    assert samples
    for sample in samples:
        for label in (label for label in sample.experts if label.accepted):
            answer = Plan(xy=label.plan.xy[None], yaw=label.plan.yaw[None], dt=label.plan.dt)
            by_driver = {one.driver: one for one in rewarded_sample(scene, sample, answer)}
            assert set(by_driver) == {other.name for other in sample.experts if other.accepted}
            rewarded = by_driver[label.name]
            assert rewarded.token == f"{sample.token}-{label.name}" and rewarded.human is None
            scores = rewarded.scores.plans
            assert scores.multiplier[0] == 1.0 and scores.time_to_collision[0] == 1.0
            assert scores.history_comfort[0] == 1.0
            assert scores.progress_m[0] == pytest.approx(label.progress_m, abs=1e-6)
