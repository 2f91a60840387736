"""Training: the same weights whatever happened on the way, and one sentence for what cannot be trained."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rendered import plain_folder
from simscale.cli.commands import Train
from simscale.cli.train import run as run_train
from simscale.dataset.mixture import Mixture
from simscale.dataset.sensors import SENSORS
from simscale.planners import read_checkpoint
from simscale.scene import BadInput
from simscale.train import TrainConfig
from simscale.train.config import plain
from simscale.train.loop import CHECKPOINT, METRICS, rate_at, train


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    plain_folder(folder / "real", street="town-1")
    plain_folder(folder / "sim", street="town-1", is_sim=True, seed=1)
    plain_folder(folder / "validation", street="town-2", count=5)
    return folder


def config(folders: Path, **fields) -> TrainConfig:
    given = {
        "mixture": Mixture(real=(folders / "real",), simulated=(folders / "sim",), simulated_per_real=0.5),
        "validation": (folders / "validation",),
        "steps": 6,
        "batch": 4,
        "save_every": 2,
        "validate_every": 3,
    }
    return TrainConfig(**{**given, **fields})


def stop_after(step: int):
    def on_step(row):
        if row["step"] == step:
            raise KeyboardInterrupt

    return on_step


def test_stopped_and_started_again_it_is_the_undisturbed_training(folders, tmp_path):
    calm = train(config(folders), tmp_path / "calm")
    for step in (1, 5):  # before anything was saved; between two saves
        with pytest.raises(KeyboardInterrupt):
            train(config(folders), tmp_path / "wild", on_step=stop_after(step))
    report = train(config(folders), tmp_path / "wild")
    assert report.resumed == 4
    for name in (CHECKPOINT, METRICS):
        assert (tmp_path / "wild" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()
    again = train(config(folders), tmp_path / "calm")
    assert (again.resumed, again.sha256) == (6, calm.sha256)


def test_a_checkpoint_says_what_it_was_taught(folders, tmp_path):
    report = train(config(folders), tmp_path / "out")
    assert (report.real, report.simulated, report.streets) == (12, 6, ("town-1",))
    _, info = read_checkpoint(report.checkpoint, planner="ltf", preset="nano")
    assert info.training["streets"] == ["town-1"] and info.training["config"]["mixture"]["simulated_per_real"] == 0.5
    rows = [json.loads(line) for line in (tmp_path / "out" / METRICS).read_text().splitlines()]
    assert [row["step"] for row in rows if "total" in row] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows if "validation_ade" in row] == [3, 6]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["checkpoint"]["sha256"] == report.sha256


@pytest.mark.slow
def test_it_learns(folders, tmp_path):
    plain = Mixture(real=(folders / "real",))
    train(config(folders, mixture=plain, steps=25, batch=12, warm_up=3, learning_rate=5e-3), tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / METRICS).read_text().splitlines()]
    errors = [row["trajectory"] for row in rows if "trajectory" in row]
    assert errors[-1] < 0.85 * errors[0]


def test_training_may_start_from_a_checkpoint_of_the_same_preset(folders, tmp_path):
    first = train(config(folders), tmp_path / "first")
    second = train(config(folders, initial=first.checkpoint, steps=1, learning_rate=1e-9), tmp_path / "second")
    before, after = (read_checkpoint(report.checkpoint)[0].state_dict() for report in (first, second))
    name = "_trajectory_head._mlp.0.weight"
    assert (before[name] - after[name]).abs().max() < 1e-6
    with pytest.raises(BadInput, match="preset is nano, expected navsim"):
        read_checkpoint(first.checkpoint, preset="navsim")


def test_rates_rise_and_fall(folders):
    whole = config(folders, steps=100, warm_up=10)
    rates = [rate_at(step, whole) / whole.learning_rate for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.02, abs=1e-3) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rate_at(99, dataclasses.replace(whole, schedule="constant")) == whole.learning_rate


def test_what_cannot_be_trained_is_one_sentence(folders, tmp_path):
    cases = [
        ({"validation": (folders / "real",)}, r"streets is those of the training \(town-1\)"),
        ({"test": (folders / "sim",)}, r"streets is those of the training"),
        ({"mixture": Mixture(real=(folders / "sim",))}, "examples is partly simulated, expected real ones alone"),
        ({"mixture": Mixture(real=(), simulated=())}, "mixture is empty"),
        ({"mixture": Mixture(real=(folders / "nowhere",))}, "nowhere"),
        ({"preset": "navsim"}, "images is 64 x 256 pixels, expected 256 x 1024"),
        ({"initial": folders / "none.safetensors"}, "no file"),
    ]
    for number, (fields, sentence) in enumerate(cases):
        with pytest.raises(BadInput, match=sentence):
            train(config(folders, **fields), tmp_path / str(number))


def test_an_empty_folder_and_lacking_cameras_are_refused(folders, tmp_path):
    empty = plain_folder(tmp_path / "empty", count=0)
    with pytest.raises(BadInput, match="mixture is empty"):
        train(config(folders, mixture=Mixture(real=(empty,))), tmp_path / "a")
    front = dataclasses.replace(SENSORS["ltf"], cameras=("CAM_F0",))
    with pytest.raises(BadInput, match="CAM_F0 without CAM_L0, CAM_R0, expected those that ltf nano sees"):
        train(config(folders, mixture=Mixture(real=(plain_folder(tmp_path / "f", sensors=front),))), tmp_path / "b")


def test_a_folder_begun_with_another_recipe_is_refused(folders, tmp_path):
    train(config(folders, steps=1), tmp_path / "out")
    with pytest.raises(BadInput, match=r"begun with config\.seed=0 \(asked for now: 3\)"):
        train(config(folders, steps=1, seed=3), tmp_path / "out")


def test_the_command_trains_a_recipe_file_and_draws_its_curves(folders, tmp_path, capsys):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"schema_version": 1, "train": plain(config(folders, steps=2))}))
    assert run_train(Train(recipe=str(recipe), out=tmp_path / "out", json=True)) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["steps"] == 2 and told["last"]["validation_ade"] > 0
    assert (tmp_path / "out/curves.png").read_bytes().startswith(b"\x89PNG")


SCRIPT = """
import sys
from pathlib import Path
from test_loop import config
from simscale.train.config import plain
from simscale.train.loop import train
whole = config(Path(sys.argv[1]), steps=30, save_every=3)
train(whole, Path(sys.argv[2]), on_step=lambda row: print(row["step"], flush=True))
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_in_the_same_weights(folders, tmp_path):
    whole = config(folders, steps=30, save_every=3)
    train(whole, tmp_path / "calm")
    paths = [Path(__file__).parent, Path(__file__).parents[1]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-c", SCRIPT, str(folders), str(tmp_path / "wild")]
    for kills in range(4):
        process = subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(2 + 3 * kills):
            process.stdout.readline()
        time.sleep(0.03 * kills)
        process.send_signal(signal.SIGKILL)
        process.wait()
    report = train(whole, tmp_path / "wild")
    assert 0 < report.resumed < 30
    for name in (CHECKPOINT, METRICS):
        assert (tmp_path / "wild" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()
