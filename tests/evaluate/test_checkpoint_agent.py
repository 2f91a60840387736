"""A checkpoint as an agent: it sees every start, keeps what it saw, and is refused where it was trained."""

import dataclasses

import numpy as np
import pytest

from simscale.evaluate.evaluation import evaluated
from simscale.evaluate.prepare import agent_of
from simscale.evaluate.starts import Split
from simscale.scene import BadInput
from simscale.town import scenery_of, town_of
from simscale.town.scenery_file import write_scenery
from small_splits import TOWN, small_splits

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A split's folder with its scenery."""
    made = tmp_path_factory.mktemp("split")
    write_scenery(scenery_of(town_of(31, settings=TOWN)), made)
    return made


def few() -> Split:
    """The first two pairs of tokens."""
    split = small_splits().one
    return dataclasses.replace(split, starts=split.starts[:4], drive=split.drive[:4], pairs=split.pairs[:2])


def checkpoint(path, *, preset: str = "nano", **training):
    from simscale.planners.checkpoint import CheckpointInfo, write_checkpoint
    from simscale.planners.registry import PLANNERS

    kind = PLANNERS["ltf"]
    config = kind.presets[preset]
    info = CheckpointInfo(planner="ltf", preset=preset, config=config, training=training)
    return str(write_checkpoint(path, kind.build(config, seed=3), info))


def test_a_checkpoint_is_evaluated_and_the_next_finds_its_images_drawn(tmp_path, folder):
    torch.set_num_threads(1)
    path, split = checkpoint(tmp_path / "one.safetensors"), few()
    first = agent_of(path, split, folder)
    found = evaluated(split, first)
    first.close()
    assert found.coverage == 1.0 and found.agent == path and found.failures == ()
    second = agent_of(path, split, folder)
    assert len(list(folder.glob("images-*.npz"))) == 1
    again = evaluated(split, second)
    np.testing.assert_array_equal(found.plan, again.plan)
    np.testing.assert_array_equal(found.columns, again.columns)
    image, status = second.see(split.starts[0])
    assert image.shape == (3, 64, 256) and image.std() > 10.0
    assert status[4] == pytest.approx(split.starts[0].ego.velocity[0], abs=1e-5)


def test_a_checkpoint_is_not_tested_where_it_was_trained(tmp_path, folder):
    split = small_splits().one
    path = checkpoint(tmp_path / "seen.safetensors", streets=["elsewhere", split.scenes[0].location])
    with pytest.raises(BadInput, match=r"towntest: streets is those of the training \(town-31-270m\)"):
        agent_of(path, split, folder)


def test_what_is_no_agent_is_named(tmp_path, folder):
    with pytest.raises(BadInput, match=r"CHECKPOINT is 'nobody', expected a checkpoint .*, or human, pdm-closed"):
        agent_of("nobody", few(), folder)
    (tmp_path / "text").write_text("weights")
    with pytest.raises(BadInput):
        agent_of(str(tmp_path / "text"), few(), folder)


def test_a_checkpoint_without_the_towns_scenery_is_told_so(tmp_path):
    path = checkpoint(tmp_path / "blind.safetensors")
    with pytest.raises(BadInput, match="scenery"):
        evaluated(few(), agent_of(path, few(), tmp_path))
