"""Learning rates: the published courses to the last digit, and nothing that depends on how many examples there are."""

import dataclasses
import json

import pytest

from simscale.dataset.mixture import Mixture
from simscale.planners import PLANNERS
from simscale.recipes import RECIPES
from simscale.scene import BadInput
from simscale.train import TrainConfig
from simscale.train.loop import rate_at
from simscale.train.optimiser import optimisers_of
from simscale.train.schedule import Epochs

PUBLISHED = {"diffusiondrive": (6e-4, Epochs()), "gtrs": (4e-4, Epochs(count=50, least=1e-8))}


@pytest.mark.shared
@pytest.mark.parametrize("planner", PUBLISHED)
def test_the_rates_are_the_references_epoch_by_epoch(shared, planner):
    expected = json.loads((shared / "golden/planners/lr_schedules.json").read_text())[planner]
    rate, epochs = PUBLISHED[planner]
    assert len(expected) == epochs.count
    for epoch, groups in enumerate(expected):
        assert groups == pytest.approx([epochs.rate_at(epoch, rate)] * 2, rel=1e-12)


def test_an_epoch_is_an_equal_part_of_the_steps():
    recipe = RECIPES["diffusiondrive_simscale"]()
    assert isinstance(recipe.schedule, Epochs)
    per_epoch = recipe.steps // recipe.schedule.count
    for epoch in (0, 2, 3, 57, 99):
        expected = recipe.schedule.rate_at(epoch, recipe.learning_rate)
        found = [rate_at(step, recipe) for step in (epoch * per_epoch, (epoch + 1) * per_epoch - 1)]
        assert found == [expected, expected]
    assert rate_at(2 * per_epoch, recipe) == recipe.learning_rate


def test_epochs_that_cannot_be_are_refused():
    recipe = dataclasses.replace(RECIPES["diffusiondrive"](), schedule=Epochs(count=3, warm_up=3))
    with pytest.raises(BadInput, match=r"schedule\.warm_up"):
        recipe.checked()


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_the_image_encoder_learns_more_slowly_only_where_that_is_effective(optimiser):
    kind = PLANNERS["diffusiondrive"]
    model = kind.build(kind.presets["nano"])
    config = TrainConfig(mixture=Mixture(real=()), optimiser=optimiser)
    one, apart = (
        optimisers_of(model, dataclasses.replace(config, lr_mult_effective=effective), outputs=kind.outputs)
        for effective in (False, True)
    )
    assert all(len(part.param_groups) == 1 for part in one.parts)
    apart.set_rate(1.0)
    rates = {id(p): group["lr"] for part in apart.parts for group in part.param_groups for p in group["params"]}
    one.set_rate(1.0)
    before = {id(p): group["lr"] for part in one.parts for group in part.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        share = 0.5 if name.startswith("_backbone.image_encoder.") else 1.0
        assert rates[id(parameter)] == share * before[id(parameter)]
