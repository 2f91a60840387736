"""Training on other devices: on one that every machine has (`elsewhere`), and on CUDA where there is one."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from elsewhere import ELSEWHERE, elsewhere, render_elsewhere
from sources import write_nerfstudio
from streets import LENS, SIZE, small_street

from command import code_of
from simscale.cli import reconstruct as command
from simscale.geometry.se3 import inverse
from simscale.splats import training
from simscale.splats.capture_source import capture_of
from simscale.splats.capture_stereo import StereoSettings
from simscale.splats.checkpoint import Left, read_checkpoint, write_checkpoint
from simscale.splats.gaussians import Gaussians
from simscale.splats.gsplat_backend import missing_gsplat
from simscale.splats.held_out import drawn
from simscale.splats.pictures import Picture
from simscale.splats.preview import preview_rows
from simscale.splats.reconstruct import reconstruct
from simscale.splats.render import limits_on
from simscale.splats.settings import ReconstructSettings
from simscale.splats.street import Street
from simscale.splats.street_file import write_street
from simscale.splats.training import CPU, Lesson, Training
from simscale.splats.view import Limits

STEPS = 12


def settings(strategy: str) -> ReconstructSettings:
    """Everything that happens in a run happens within STEPS steps."""
    plain = ReconstructSettings(gaussians=12_000, sort_every=5, coarse=((0.3, 2),), sh_every=0.4)
    densify = replace(plain.densify, strategy=strategy, first=0.1, last=0.9, every=3, noise_every=2, reset_every=0.4)
    return replace(plain, densify=densify, losses=replace(plain.losses, sharpness_every=2))


def street() -> Street:
    """The small street with harmonics."""
    made = small_street()
    still = [Gaussians(**part.tensors() | {"sh_rest": torch.zeros(len(part), 3, 3)}) for part in (made.world, made.sky)]
    return replace(made, world=still[0], sky=still[1])


def lessons(made: Street) -> list[Lesson]:
    """Three pictures of noise with a car, LiDAR and a mask."""
    random = np.random.default_rng(0)
    taken = []
    for number in range(3):
        valid = torch.ones(SIZE[1], SIZE[0], dtype=torch.bool)
        valid[50:, 10:30] = False
        pixel = (random.random((40, 2)) * SIZE).astype(np.float32)
        picture = Picture(
            rgb=torch.from_numpy(random.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)),
            valid=valid if number else None,
            lens=LENS + 0.5 * np.eye(3)[:, 2:] * [0, 0, 1],
            pixel=torch.from_numpy(pixel),
            depth=torch.from_numpy(random.uniform(5, 20, 40).astype(np.float32)),
        )
        taken.append(
            Lesson(
                picture=picture,
                camera=0,
                traversal=0,
                camera_from_world=torch.from_numpy(inverse(made.drive.world_from_camera[number])).float(),
                world_from_box=made.agents.world_from_box[:, number],
                shown=np.array([number != 1, False]),
            )
        )
    return taken


def trained(strategy: str, device: torch.device, *, steps: int = STEPS) -> Training:
    """After some of the run's steps."""
    made = Training(street(), lessons(street()), settings(strategy), device)
    for step in range(steps):
        made.learn(step / STEPS)
    return made


@pytest.fixture
def far(monkeypatch) -> Iterator[torch.device]:
    """A device to train on."""
    monkeypatch.setattr(training, "render", render_elsewhere)
    with elsewhere():
        yield ELSEWHERE


@pytest.mark.parametrize("strategy", ["mcmc", "default"])
def test_a_training_elsewhere_is_the_one_here(far, strategy):
    there, here = trained(strategy, far), trained(strategy, CPU)
    assert there.world.gaussians.means.device == there.agents.momenta.first["means"].device == far
    assert len(there) == len(here) != len(street())
    assert there.error == pytest.approx(here.error, rel=1e-4)
    for lesson in lessons(street()):
        one, other = (drawn(made.result(), lesson, near=0.2)[0] for made in (there, here))
        # Adam grows the rounding of small gradients, and MCMC what it draws by opacity
        assert (one - other).abs().mean() < 2e-4
        assert (one - other).abs().max() < 2e-2
    np.testing.assert_allclose(there.world_from_camera(), here.world_from_camera(), atol=1e-4)


@pytest.mark.parametrize("began_far", [True, False])
def test_a_run_goes_on_on_another_device(far, tmp_path, began_far):
    first, second = (far, CPU) if began_far else (CPU, far)
    before = trained("mcmc", first, steps=7)
    write_checkpoint(tmp_path, before, Left(seconds=1.0, share=0.5), key="run")
    after = trained("mcmc", second, steps=0)
    assert read_checkpoint(tmp_path, after, key="run") == Left(seconds=1.0, share=0.5)
    one, other = before.result(), after.result()
    for name, value in one.world.tensors().items():
        assert torch.equal(value, getattr(other.world, name)), name
    assert torch.equal(one.exposures.affine, other.exposures.affine)
    before.learn(0.6)
    after.learn(0.6)
    assert after.agents.owner.device == second
    assert after.error == pytest.approx(before.error, rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(missing_gsplat() is not None, reason=f"no training on CUDA: {missing_gsplat()}")
def test_held_out_photographs_are_recognised_after_training_on_cuda(tmp_path):
    cuda = torch.device("cuda")
    plain = ReconstructSettings(steps=150, gaussians=3000)
    start = replace(plain.start, stereo=StereoSettings(width=96, photographs=4, stride=3))
    densify = replace(plain.densify, every=10)
    numbers = replace(plain, start=start, densify=densify, sky=replace(plain.sky, count=100))
    wall = capture_of(write_nerfstudio(tmp_path / "wall", count=8), hold_out_every=4)
    made = reconstruct(wall, numbers, clock=lambda: 0.0, device=cuda, kept=tmp_path / "unfinished")
    assert made.steps == 150
    assert made.score.pictures == 2
    assert made.score.psnr is not None and made.score.psnr > 14.5  # a grey wall has 11
    assert {value.device for value in made.street.world.tensors().values()} == {CPU}
    preview_rows(made.street, made.held_out, near=0.2)
    write_street(made.street, tmp_path / "street", made={})


def test_where_to_train_is_found_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "missing_gsplat", lambda: None)
    assert [command.device_of(asked).type for asked in ("auto", "cpu", "cuda")] == ["cuda", "cpu", "cuda"]
    monkeypatch.setattr(command, "missing_gsplat", lambda: "torch finds no CUDA device")
    assert [command.device_of(asked).type for asked in ("auto", "cpu")] == ["cpu", "cpu"]
    assert code_of("reconstruct", tmp_path, "--out", tmp_path / "out", "--device", "cuda") == 2
    assert "--device is cuda, expected auto or cpu: torch finds no CUDA device" in capsys.readouterr().err


def test_limits_are_those_that_gsplat_has_compiled_in(monkeypatch):
    cuda, asked = torch.device("cuda"), Limits(near=0.2)
    assert limits_on(CPU, asked) == asked
    for version in ("1.5.3", "1.5.3+pt24cu124"):
        monkeypatch.setattr("importlib.metadata.version", lambda name, version=version: version)
        assert limits_on(cuda, asked) == asked
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.6.0")
    assert limits_on(cuda, asked) == replace(asked, max_alpha=0.99, min_compensation=0.005)


def test_a_gsplat_that_nobody_knows_is_not_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.0.1")
    assert missing_gsplat() == "gsplat is 2.0.1, and only 1.4, 1.5, 1.6 are known"
