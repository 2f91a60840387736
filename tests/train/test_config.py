"""Recipe files: read strictly, one sentence about what is wrong."""

import json
from pathlib import Path

import pytest

from simscale.cli.train import config_of
from simscale.scene import BadInput
from simscale.train import read_config


def recipe(tmp_path: Path, **train) -> Path:
    content = {"schema_version": 1, "train": {"mixture": {"real": ["real"]}, **train}}
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(content))
    return path


def test_folders_are_relative_to_the_file(tmp_path):
    config = read_config(recipe(tmp_path, steps=7, mixture={"real": ["a"], "simulated": ["b"], "rounds": 2}))
    assert (config.steps, config.batch) == (7, 32)
    assert config.mixture.real == (tmp_path / "a",) and config.mixture.simulated == (tmp_path / "b",)
    assert config.mixture.rounds == 2


@pytest.mark.parametrize(
    ("train", "sentence"),
    [
        ({"speed": 1}, r"train\.speed is unknown"),
        ({"steps": "many"}, r"train\.steps is 'many'"),
        ({"steps": 0}, "steps is 0, expected 1 or more"),
        ({"planner": "gpt"}, "planner is 'gpt', expected ltf"),
        ({"preset": "huge"}, "preset is 'huge', expected nano"),
        ({"mixture": {"real": []}}, "mixture is empty"),
        ({"mixture": {"real": [], "shares": 1}}, r"train\.mixture\.shares is unknown"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, train, sentence):
    with pytest.raises(BadInput, match=sentence):
        read_config(recipe(tmp_path, **train))


def test_what_is_no_recipe_is_refused(tmp_path):
    with pytest.raises(BadInput, match="missing"):
        read_config(tmp_path / "no.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(BadInput, match="json"):
        read_config(tmp_path / "bad.json")
    with pytest.raises(BadInput, match="expected a recipe file"):
        config_of("unheard-of")
