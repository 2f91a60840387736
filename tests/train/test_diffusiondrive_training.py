"""DiffusionDrive through `simscale train`: noise and all, it goes on to the bit, and its checkpoint plans."""

from pathlib import Path

import numpy as np
import pytest

from rendered import plain_folder
from simscale.dataset.mixture import Mixture
from simscale.planners import Observations, plan, read_checkpoint
from simscale.planners.diffusiondrive import town_anchors
from simscale.train import TrainConfig
from simscale.train.loop import CHECKPOINT, METRICS, train


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> TrainConfig:
    folder: Path = tmp_path_factory.mktemp("train")
    plain_folder(folder / "real", street="town-1")
    plain_folder(folder / "validation", street="town-2", count=5)
    return TrainConfig(
        mixture=Mixture(real=(folder / "real",)),
        planner="diffusiondrive",
        validation=(folder / "validation",),
        steps=5,
        batch=4,
        save_every=2,
        validate_every=5,
    )


def test_stopped_and_started_again_it_is_the_undisturbed_training(config, tmp_path):
    def stop(row):
        if row["step"] == 3:
            raise KeyboardInterrupt

    report = train(config, tmp_path / "calm")
    assert {"modes", "poses", "validation_modes", "validation_ade"} <= report.last.keys()
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "wild", on_step=stop)
    assert train(config, tmp_path / "wild").resumed == 2
    for name in (CHECKPOINT, METRICS):
        assert (tmp_path / "wild" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()

    model, info = read_checkpoint(report.checkpoint, planner="diffusiondrive", preset="nano")
    assert info.training["config"]["planner"] == "diffusiondrive"
    anchors = model._trajectory_head.plan_anchor.detach()
    np.testing.assert_array_equal(anchors, town_anchors(), err_msg="anchors are not taught")
    rgb = np.random.default_rng(0).integers(0, 256, (3, 3, 64, 256), dtype=np.uint8)
    seen = Observations(rgb=rgb, status=np.ones((3, 8)))
    plans = plan(model, seen)
    np.testing.assert_array_equal(plans.xy, plan(model, seen).xy)
    np.testing.assert_allclose(plans.xy, plan(model, seen, batch=1).xy, rtol=1e-4, atol=1e-4)
