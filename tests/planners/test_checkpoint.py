import dataclasses
import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from simscale.planners import PLANNERS, CheckpointInfo, Observations, plan, read_checkpoint, read_info
from simscale.planners import write_checkpoint as write
from simscale.scene import BadInput

NANO = PLANNERS["ltf"].presets["nano"]
INFO = CheckpointInfo(planner="ltf", preset="nano", config=NANO, training={"steps": 3, "seed": 7, "share": 0.5})


@pytest.fixture(scope="module")
def model():
    return PLANNERS["ltf"].build(NANO, seed=3)


@pytest.fixture
def path(tmp_path, model):
    return write(tmp_path / "planner.safetensors", model, INFO)


def rewritten(path, *, state=None, **said):
    """The same checkpoint with other weights, or with another word about itself."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["simscale"])
    held = load_file(path)
    save_file(held if state is None else state(held), path, {"simscale": json.dumps({**header, **said})})
    return path


def test_what_was_written_is_read_and_plans_alike(path, model):
    again, info = read_checkpoint(path, planner="ltf", preset="nano")
    assert info == INFO and read_info(path) == INFO
    held, found = model.state_dict(), again.state_dict()
    assert held.keys() == found.keys() and all(torch.equal(held[name], found[name]) for name in held)
    rgb, status = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 256), dtype=np.uint8), np.ones((2, 8))
    seen = Observations(rgb=rgb, status=status)
    np.testing.assert_array_equal(plan(model, seen).xy, plan(again, seen).xy)


def test_the_same_model_gives_the_same_bytes(path, model, tmp_path):
    other = write(tmp_path / "other.safetensors", model, INFO)
    assert path.read_bytes() == other.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["other.safetensors", "planner.safetensors"]


def refused(call, *words: str) -> None:
    with pytest.raises(BadInput) as error:
        call()
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_another_preset_or_planner_than_asked_for_is_refused(path, tmp_path):
    refused(lambda: read_checkpoint(path, preset="navsim"), path.name, "preset is nano", "expected navsim")
    refused(lambda: read_checkpoint(path, planner="gtrs"), path.name, "planner is ltf", "expected gtrs")
    own = dataclasses.replace(NANO, agents=5)
    kind = PLANNERS["ltf"]
    info = dataclasses.replace(INFO, preset="", config=own)
    file = write(tmp_path / "own.safetensors", kind.build(own), info)
    assert read_checkpoint(file)[1].config == own
    refused(lambda: read_checkpoint(file, preset="nano"), "agents 5", "expected nano")
    earlier = dataclasses.replace(NANO, trunk=dataclasses.replace(NANO.trunk, dropout=0.3))
    file = write(tmp_path / "earlier.safetensors", kind.build(earlier), dataclasses.replace(INFO, config=earlier))
    refused(lambda: read_checkpoint(file, preset="nano"), "another configuration (trunk.dropout 0.3)", "expected nano")


def test_damaged_and_foreign_files_are_refused(path, tmp_path):
    refused(lambda: read_checkpoint(tmp_path / "none.safetensors"), "none.safetensors", "no file")
    half = tmp_path / "half.safetensors"
    half.write_bytes(path.read_bytes()[:5000])
    refused(lambda: read_checkpoint(half), "half.safetensors", "no safetensors file")
    half.write_bytes(pickle.dumps({"state_dict": {}}))
    refused(lambda: read_checkpoint(half), "no safetensors file")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    refused(lambda: read_checkpoint(tmp_path / "foreign.safetensors"), "header", "not readable")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"format": "simscale-checkpoint-9"}, ("format", "checkpoint-9")),
        ({"planner": "bus"}, ("planner", "'bus'", "one of ltf")),
        ({"config": {}}, ("config.", "absent")),
        ({"config": {**dataclasses.asdict(NANO), "wheels": 4}}, ("config.wheels", "unknown")),
        ({"config": {**dataclasses.asdict(NANO), "agents": "many"}}, ("config.agents", "'many'")),
        ({"cameras": 3}, ("header", "not readable")),
    ],
)
def test_a_header_that_says_something_else_is_refused(path, said, words):
    refused(lambda: read_checkpoint(rewritten(path, **said)), *words)


def test_weights_must_be_all_of_them_and_no_others_each_of_its_shape_and_type(path):
    name, whole = "_status_encoding.weight", path.read_bytes()

    def without(state):
        return {k: v for k, v in state.items() if k != name}

    for change, words in (
        (without, ("1 missing", name)),
        (lambda state: {**state, "zebra": torch.zeros(1)}, ("1 unknown", "zebra")),
        (lambda state: {**state, name: torch.zeros(64, 9)}, (name, "(64, 9)", "(64, 8)")),
        (lambda state: {**state, name: state[name].double()}, (name, "float64", "float32")),
    ):
        path.write_bytes(whole)
        refused(lambda change=change: read_checkpoint(rewritten(path, state=change)), *words)
