"""LPIPS with made-up weights: equal pictures are at no distance, and files that do not fit are refused."""

import pytest
import torch

from simscale.scene import BadInput
from simscale.splats.lpips import BACKBONE, CONVOLUTIONS, HEADS, perceptual_of


@pytest.fixture
def folder(tmp_path):
    random = torch.Generator().manual_seed(0)
    backbone, heads = {}, {}
    for index, (number, (before, after, side, _, _)) in enumerate(CONVOLUTIONS.items()):
        backbone[f"features.{number}.weight"] = 0.1 * torch.randn(after, before, side, side, generator=random)
        backbone[f"features.{number}.bias"] = torch.zeros(after)
        heads[f"lin{index}.model.1.weight"] = torch.rand(1, after, 1, 1, generator=random)
    torch.save(backbone, tmp_path / BACKBONE)
    torch.save(heads, tmp_path / HEADS)
    return tmp_path


def test_a_picture_is_at_no_distance_from_itself_and_farther_from_more_noise(folder):
    distance = perceptual_of(folder)
    random = torch.Generator().manual_seed(1)
    picture = torch.rand(1, 64, 96, 3, generator=random)
    noise = torch.randn(picture.shape, generator=random)
    assert distance(picture, picture) == 0
    assert 0 < distance(picture, picture + 0.02 * noise) < distance(picture, picture + 0.2 * noise)


def test_files_that_do_not_fit_are_refused(folder):
    (folder / HEADS).write_bytes(b"no weights")
    with pytest.raises(BadInput, match=r"alex\.pth"):
        perceptual_of(folder)
    torch.save({"lin0.model.1.weight": torch.zeros(3)}, folder / HEADS)
    with pytest.raises(BadInput, match="lin0"):
        perceptual_of(folder)
    (folder / BACKBONE).unlink()
    with pytest.raises(BadInput, match="missing"):
        perceptual_of(folder)
