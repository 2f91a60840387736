"""An experiment's commands: any planner on the same data, and rewards for those that choose."""

import dataclasses
from pathlib import Path

import pytest

from simscale.cli.experiment import CHECKPOINT, REWARDS, steps_of, town_folders
from simscale.recipes import minute
from simscale.train import read_config


@pytest.mark.parametrize("planner", ["ltf", "diffusiondrive", "gtrs"])
def test_every_planner_is_trained_and_evaluated_on_the_same_data(tmp_path, planner):
    experiment = dataclasses.replace(minute(), planner=planner)
    steps = {step.name: step for step in steps_of(experiment, tmp_path, cores=1)}
    ltf = {step.name for step in steps_of(minute(), tmp_path, cores=1)}
    trainings = {name: step for name, step in steps.items() if name.startswith("train-")}
    assert len(trainings) == 2 and all((planner in name) == (planner != "ltf") for name in trainings)
    own = {name for name in steps if "train-" in name}
    assert steps.keys() - own - {REWARDS} == {name for name in ltf if "train-" not in name}, "all else is shared"
    for name, step in trainings.items():
        config = read_config(Path(step.arguments[1]))
        assert config.planner == planner and bool(config.mixture.rewards) == (planner == "gtrs")
        for split in experiment.splits:
            assert steps[f"{split}-{name}"].arguments[1] == str(tmp_path / name / CHECKPOINT)
        assert (REWARDS in step.needs) == (planner == "gtrs")
    assert (REWARDS in steps) == (planner == "gtrs")


def test_rewards_are_scored_where_the_planner_is_taught(tmp_path):
    experiment = dataclasses.replace(minute(), planner="gtrs")
    step = next(step for step in steps_of(experiment, tmp_path, cores=1) if step.name == REWARDS)
    towns = tuple(map(str, town_folders(experiment, tmp_path)))
    assert step.arguments[:4] == ("rewards", *towns, str(tmp_path / "samples"), "--out")
    assert step.needs == ("generate",)
