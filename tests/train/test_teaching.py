"""Trainings on rewards: who teaches what, from which store, and the same weights whatever happened on the way."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from made_rewards import made_vocabulary
from rendered import plain_folder
from simscale.dataset.files import put_in_place
from simscale.dataset.loading import concatenated, read_examples
from simscale.dataset.manifest import commit_manifest, entries_of
from simscale.dataset.mixture import Mixture
from simscale.dataset.rewards import STAGE, TokenRewards, open_rewards, rewards_digest, write_rewards
from simscale.dataset.rewards_code import MODES, coded
from simscale.dataset.vocabulary import read_trajectories, write_vocabulary
from simscale.planners import PLANNERS, LtfTargets, read_checkpoint
from simscale.planners.gtrs import fan
from simscale.planners.gtrs_head import METRICS
from simscale.planners.gtrs_loss import GtrsTargets
from simscale.recipes import RECIPES
from simscale.scene import BadInput
from simscale.train import TrainConfig, read_config
from simscale.train.loop import CHECKPOINT, train
from simscale.train.loop import METRICS as ROWS
from simscale.train.teaching import counts_of, targets_of, teaching_of
from simscale.train.words import words_of

SIZE = 300
"""Of the vocabulary; nano takes 256 of it."""


def stored(folder: Path, tokens: list[str], vocabulary: Path, *, seed: int = 0) -> Path:
    rewards = (
        TokenRewards(token=token, log="town", driver="human", coded=coded(made_vocabulary(seed + n, SIZE), None))
        for n, token in enumerate(tokens)
    )
    files = write_rewards(folder / "tmp", "a" * 16, rewards)
    for file in files:
        put_in_place(file, folder)
    named = {"name": vocabulary.name, "sha256": read_trajectories(vocabulary).sha256, "entries": SIZE}
    commit_manifest(
        folder,
        files=entries_of(files),
        digest=rewards_digest(folder),
        configuration={"stage": STAGE, "vocabulary": named, "modes": list(MODES), "progress": "gen_gt"},
        seed=0,
        code_version="test",
        inputs=(),
        counts={},
    )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Twelve real and twelve simulated examples; rewards of eight real ones, and of simulated ones in two stores."""
    folder = tmp_path_factory.mktemp("teaching")
    plain_folder(folder / "real")
    plain_folder(folder / "sim", is_sim=True, seed=1)
    plain_folder(folder / "validation", street="town-2", count=5)
    write_vocabulary(fan(SIZE).numpy(), folder / "words.npy")
    real, simulated = (list(read_examples(folder / name, size=(64, 256)).token) for name in ("real", "sim"))
    stored(folder / "first", real[:8] + simulated[:6], folder / "words.npy")
    stored(folder / "last", simulated[4:8], folder / "words.npy", seed=50)
    return folder


def config(folder: Path, **fields) -> TrainConfig:
    given = {
        "mixture": Mixture(
            real=(folder / "real",), simulated=(folder / "sim",), rewards=(folder / "first", folder / "last")
        ),
        "vocabulary": folder / "words.npy",
        "validation": (folder / "validation",),
        "planner": "gtrs",
        "steps": 4,
        "batch": 4,
        "save_every": 2,
        "validate_every": 2,
    }
    return TrainConfig(**{**given, **fields})


@pytest.fixture(scope="module")
def examples(folder):
    return concatenated([read_examples(folder / name, size=(64, 256)) for name in ("real", "sim")])


def test_rewards_are_those_of_the_planners_trajectories_from_the_last_store_that_has_them(folder, examples):
    words = words_of(folder / "words.npy", size=256)
    teaching = teaching_of(config(folder), examples, words)
    expected = [0] * 8 + [-1] * 4 + [0] * 4 + [1] * 4 + [-1] * 4
    np.testing.assert_array_equal(teaching.store, expected)
    rows = np.array([17, 2, 9, 13])
    held = teaching.rewards(examples, rows)
    assert held.shape == (4, len(METRICS), 256) and not held[2].any()
    for place, row in ((0, 17), (1, 2), (3, 13)):
        store = open_rewards(folder / ("first", "last")[teaching.store[row]])
        read = store.read([examples.token[row]])
        for metric, name in enumerate(METRICS):
            np.testing.assert_array_equal(held[place, metric], getattr(read, name)[0, words.row])
    assert counts_of(teaching, np.arange(24)) == {"imitated": 24, "rewarded": 16}


def test_rewards_only_is_a_setting(folder, examples):
    words = words_of(folder / "words.npy", size=256)
    recipe = config(folder, imitate="real")
    teaching, rows = teaching_of(recipe, examples, words), np.array([0, 9, 12, 23])
    targets = targets_of(examples, rows, teaching, planner="gtrs")
    assert isinstance(targets, GtrsTargets)
    assert targets.imitate.tolist() == [True, True, False, False]
    assert targets.rewarded.tolist() == [True, False, True, False]
    without = dataclasses.replace(recipe, mixture=dataclasses.replace(recipe.mixture, rewards=()))
    bare = targets_of(examples, rows, teaching_of(without, examples, words), planner="gtrs")
    assert bare.rewards is None and not bare.rewarded.any()


def test_other_planners_have_the_same_settings(folder, examples):
    recipe = TrainConfig(mixture=Mixture(real=(folder / "real",)), imitate="real", auxiliary_from="all")
    rows = np.array([0, 9, 12, 23])
    targets = targets_of(examples, rows, teaching_of(recipe, examples, None), planner="ltf")
    assert isinstance(targets, LtfTargets)
    assert targets.imitate.tolist() == [True, True, False, False] and targets.auxiliary.all()
    recipe = dataclasses.replace(recipe, imitate="all", auxiliary_from="real")
    targets = targets_of(examples, rows, teaching_of(recipe, examples, None), planner="ltf")
    assert targets.imitate.all() and targets.auxiliary.tolist() == [True, True, False, False]


def test_the_references_loop_reads_the_last_round_for_every_round(folder, examples):
    recipe = config(folder, legacy_last_round_only=True)
    teaching = teaching_of(recipe, examples, words_of(folder / "words.npy", size=256))
    np.testing.assert_array_equal(teaching.store, [0] * 8 + [-1] * 8 + [1] * 4 + [-1] * 4)


def test_a_training_on_rewards_learns_and_resumes_to_the_bit(folder, tmp_path):
    recipe = config(folder, imitate="real", steps=6)
    train(recipe, tmp_path / "calm")

    def stop(row):
        if row["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "wild", on_step=stop)
    assert train(recipe, tmp_path / "wild").resumed == 2
    for name in (CHECKPOINT, ROWS):
        assert (tmp_path / "wild" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "calm" / ROWS).read_text().splitlines()]
    taught = [row for row in rows if "total" in row]
    assert taught[-1]["total"] < taught[0]["total"] and taught[0]["progress"] > 0
    assert all(row["validation_ade"] > 0 for row in rows if "validation_ade" in row)


def test_the_checkpoint_has_the_vocabulary_and_says_who_taught(folder, tmp_path):
    report = train(config(folder, steps=1), tmp_path / "out")
    model, info = read_checkpoint(report.checkpoint, planner="gtrs", preset="nano")
    words = words_of(folder / "words.npy", size=256)
    np.testing.assert_array_equal(model.state_dict()[PLANNERS["gtrs"].vocabulary], words.poses)
    assert (info.training["imitated"], info.training["rewarded"]) == (24, 16)
    assert {"vocabulary": "words.npy", "sha256": words.sha256} in info.training["inputs"]
    again = train(config(folder, steps=1, initial=report.checkpoint), tmp_path / "again")
    more, _ = read_checkpoint(again.checkpoint)
    np.testing.assert_array_equal(more.state_dict()[PLANNERS["gtrs"].vocabulary], words.poses)
    with pytest.raises(BadInput, match=r"town_vocabulary\.npy: vocabulary is without trajectory"):
        train(config(folder, steps=1, initial=report.checkpoint, vocabulary=None), tmp_path / "other")


def test_rewards_for_another_vocabulary_or_planner_are_refused(folder, tmp_path):
    with pytest.raises(BadInput, match="vocabulary"):
        train(config(folder, vocabulary=None), tmp_path / "out")
    with pytest.raises(BadInput, match="for ltf, expected a planner that chooses"):
        train(config(folder, planner="ltf"), tmp_path / "out")


def test_a_recipe_file_names_stores_and_vocabulary_relative_to_itself(tmp_path):
    mixture = {"real": ["real"], "rewards": ["rewards"]}
    told = {"mixture": mixture, "planner": "gtrs", "vocabulary": "words.npy", "imitate": "real"}
    (tmp_path / "recipe.json").write_text(json.dumps({"schema_version": 1, "train": told}))
    read = read_config(tmp_path / "recipe.json")
    assert read.mixture.rewards == (tmp_path / "rewards",) and read.vocabulary == tmp_path / "words.npy"


@pytest.mark.parametrize("name", ["gtrs", "gtrs_simscale", "hydra_mdp"])
def test_recipes_are_possible_and_teach_rewards(name):
    recipe = RECIPES[name]().checked()
    assert recipe.name == name and recipe.mixture.rewards and PLANNERS[recipe.planner].chooses
    assert (recipe.imitate == "real") == bool(recipe.mixture.simulated)
