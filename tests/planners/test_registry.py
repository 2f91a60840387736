import numpy as np
import pytest
import torch

from simscale.planners import PLANNERS, predict


@pytest.fixture(scope="module")
def model():
    return PLANNERS["ltf"].build(PLANNERS["ltf"].presets["nano"], seed=0)


def images(count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (count, 3, 64, 256), dtype=np.uint8), draw.normal(size=(count, 8))


def test_predicting_twice_gives_the_same_bits_and_trains_nothing(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    first, second = predict(model, *images()), predict(model, *images())
    assert first.dtype == np.float32 and first.shape == (5, 8, 3)
    np.testing.assert_array_equal(first, second)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not model.training


def test_batches_and_kinds_of_images_do_not_matter(model):
    rgb, status = images()
    whole = predict(model, rgb, status)
    np.testing.assert_allclose(predict(model, rgb, status, batch=2), whole, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(predict(model, rgb / np.float32(255), status), whole, rtol=1e-4, atol=1e-5)


def test_every_planner_builds_its_smallest_preset_with_a_loss_config():
    for kind in PLANNERS.values():
        assert "nano" in kind.presets and kind.loss_config is not None
        assert isinstance(kind.build(kind.presets["nano"], seed=0), torch.nn.Module)
