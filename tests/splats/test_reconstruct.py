"""Reconstruction from beginning to end, on pictures of a wall: it learns, resumes to the bit, and says what it made."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sources import write_nerfstudio

from command import asked, code_of, told
from simscale.scene import BadInput
from simscale.splats.capture_source import capture_of
from simscale.splats.capture_stereo import StereoSettings
from simscale.splats.checkpoint import KIND
from simscale.splats.files_asset import read_asset
from simscale.splats.reconstruct import News, Reconstruction, reconstruct
from simscale.splats.settings import ReconstructSettings
from simscale.splats.street_file import read_street


def settings(**changes) -> ReconstructSettings:
    plain = ReconstructSettings(steps=150, gaussians=3000, save_every=50)
    start = replace(plain.start, stereo=StereoSettings(width=96, photographs=4, stride=3))
    densify = replace(plain.densify, every=10)
    return replace(plain, start=start, densify=densify, sky=replace(plain.sky, count=100), **changes)


@pytest.fixture(scope="module")
def wall(tmp_path_factory):
    return capture_of(write_nerfstudio(tmp_path_factory.mktemp("wall"), count=8), hold_out_every=4)


@pytest.fixture(scope="module")
def made(wall) -> Reconstruction:
    return reconstruct(wall, settings(), clock=lambda: 0.0)


def same(one: Reconstruction, other: Reconstruction) -> bool:
    pairs = zip(
        (one.street.world, one.street.sky, one.street.clouds.gaussians),
        (other.street.world, other.street.sky, other.street.clouds.gaussians),
        strict=True,
    )
    return all(
        torch.equal(value, theirs.tensors()[name]) for mine, theirs in pairs for name, value in mine.tensors().items()
    ) and torch.equal(one.street.exposures.affine, other.street.exposures.affine)


def test_held_out_photographs_are_recognised(made):
    assert made.steps == 150
    assert made.score.pictures == 2
    assert made.score.psnr is not None and made.score.psnr > 14.5  # a grey wall has 11
    assert made.score.lpips is None
    assert len(made.street) <= 3000


def test_a_longer_run_is_better(wall, made):
    short = reconstruct(wall, replace(settings(), steps=10), clock=lambda: 0.0)
    assert short.score.psnr < made.score.psnr


class Killed(Exception):
    """The process ends here."""


@pytest.mark.parametrize("strategy", ["mcmc", "default"])
def test_a_run_that_was_killed_goes_on_to_the_bit(wall, tmp_path, strategy):
    chosen = settings()
    chosen = replace(chosen, densify=replace(chosen.densify, strategy=strategy))

    def killer(news: News) -> None:
        if news.phase == "train" and news.done == 80:
            raise Killed

    with pytest.raises(Killed):
        reconstruct(wall, chosen, clock=lambda: 0.0, kept=tmp_path, tell=killer)
    assert read_asset(tmp_path, kind=KIND).description["step"] == 50
    gone_on = reconstruct(wall, chosen, clock=lambda: 0.0, kept=tmp_path)
    assert same(gone_on, reconstruct(wall, chosen, clock=lambda: 0.0))


def test_another_seed_is_another_street(wall, made):
    assert not same(made, reconstruct(wall, replace(settings(), seed=1), clock=lambda: 0.0))


def test_a_checkpoint_of_another_run_is_refused(wall, tmp_path):
    reconstruct(wall, replace(settings(), steps=50), clock=lambda: 0.0, kept=tmp_path)
    with pytest.raises(BadInput, match="other settings"):
        reconstruct(wall, replace(settings(), steps=51), clock=lambda: 0.0, kept=tmp_path)


def test_a_budget_of_minutes_ends_the_run(wall):
    ticks = iter(range(10_000))
    made = reconstruct(wall, replace(settings(), budget_minutes=1.0), clock=lambda: float(next(ticks)))
    assert 10 < made.steps < 60
    assert made.seconds == pytest.approx(60, abs=5)


def test_nothing_to_train_on_is_refused(wall):
    nothing = replace(wall, frames=replace(wall.frames, held_out=np.ones(len(wall.frames), dtype=bool)))
    with pytest.raises(BadInput, match="none to train on"):
        reconstruct(nothing, settings(), clock=lambda: 0.0)


@pytest.mark.slow
def test_the_command_writes_an_asset_and_says_how_good_it_is(tmp_path):
    src, out = write_nerfstudio(tmp_path / "wall"), tmp_path / "street"
    command = ["reconstruct", src, "--out", out, "--steps", "20", "--budget-gaussians", "4000", "--json"]
    said = asked(*command)
    assert said.returncode == 0, said.stderr
    numbers = told(said.stdout)
    assert numbers["heldout"]["psnr"] > 5
    assert {"psnr", "ssim"} <= numbers["heldout"].keys()
    assert 0 < numbers["gaussians"] <= 4000
    assert numbers["seconds"] > 0
    street, how = read_street(out)
    assert len(street) == numbers["gaussians"]
    assert how["heldout"] == numbers["heldout"]
    assert (out / "preview.png").stat().st_size > 1000
    assert not (out / "unfinished").exists()

    again = asked(*command)
    assert again.returncode == 0
    assert told(again.stdout) == numbers
    other = asked(*command, "--seed", "1")
    assert other.returncode == 2
    assert "another --out" in other.stderr


@pytest.mark.parametrize(
    "option", [("--steps", "0"), ("--budget-minutes", "-1"), ("--budget-gaussians", "10"), ("--width", "1")]
)
def test_numbers_that_make_no_sense_are_refused(tmp_path, capsys, option):
    assert code_of("reconstruct", tmp_path, "--out", tmp_path / "out", *option) == 2
    assert option[0] in capsys.readouterr().err
