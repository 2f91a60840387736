import torch

from simscale.planners import PLANNERS


def test_every_planner_builds_its_smallest_preset_with_a_loss_config():
    for kind in PLANNERS.values():
        assert "nano" in kind.presets and kind.loss_config is not None
        assert isinstance(kind.build(kind.presets["nano"], seed=0), torch.nn.Module)
