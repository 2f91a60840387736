import numpy as np
import pytest
import torch
from clouds import random_gaussians, turned

from simscale.scene import BadInput
from simscale.splats.files_splat import ROW, read_splat, write_splat


def test_what_is_written_is_read_back_as_far_as_bytes_tell(tmp_path):
    cloud = random_gaussians(200)
    write_splat(cloud, tmp_path / "cloud.splat")
    back = read_splat(tmp_path / "cloud.splat")
    order = torch.argsort(back.means[:, 0])
    own = torch.argsort(cloud.means[:, 0])
    torch.testing.assert_close(back.means[order], cloud.means[own])
    torch.testing.assert_close(back.log_scales[order], cloud.log_scales[own], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        torch.sigmoid(back.logit_opacity[order]), torch.sigmoid(cloud.logit_opacity[own]), atol=1 / 255, rtol=0
    )
    apart = (turned(back)[order] * turned(cloud)[own]).sum(1).abs()
    assert (apart > 0.9999).all()


def test_the_large_and_opaque_come_first(tmp_path):
    cloud = random_gaussians(100)
    write_splat(cloud, tmp_path / "cloud.splat")
    back = read_splat(tmp_path / "cloud.splat")
    weight = torch.sigmoid(back.logit_opacity) * torch.exp(back.log_scales.sum(1))
    assert (weight[1:] <= weight[:-1] * 1.2).all()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_file_of_another_size_is_refused(tmp_path, size):
    (tmp_path / "cloud.splat").write_bytes(bytes(size))
    with pytest.raises(BadInput, match="32 for each"):
        read_splat(tmp_path / "cloud.splat")


def test_numbers_that_are_none_are_refused(tmp_path):
    rows = np.zeros(2, dtype=ROW)
    rows["mean"][1, 2] = np.nan
    (tmp_path / "cloud.splat").write_bytes(rows.tobytes())
    with pytest.raises(BadInput, match="finite"):
        read_splat(tmp_path / "cloud.splat")
