import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from clouds import random_gaussians

from simscale.scene import BadInput
from simscale.splats.files_worldengine import SH_C0, read_portable


def state_of(cloud, **more: torch.Tensor) -> OrderedDict:
    own = {
        "means": cloud.means,
        "scales": cloud.log_scales,
        "quats": cloud.quats,
        "opacities": cloud.logit_opacity[:, None],
        "features_dc": cloud.sh_dc,
        "features_rest": cloud.sh_rest,
    }
    return OrderedDict({f"gauss_params.{name}": value for name, value in own.items()} | more)


def config(kind: str, **more: object) -> dict:
    return {"type": kind, "sh_degree": 3, "scale_dim": 3, **more}


def clip() -> OrderedDict:
    poses = {
        "instance_trans": torch.tensor([[1.0, 2, 3], [2, 2, 3], [0, 0, 100_000]]),
        "instance_quats": torch.ones(3, 4),
    }
    shift = np.array([331_220.0, 4_690_660.0, 0.0])
    mirrored = config("MirroredRigidSubModel", log_timestamps=torch.tensor([0.0, 0.1, 0.2], dtype=torch.float64))
    return OrderedDict(
        background={
            "config": config("VanillaGaussianSplattingModel", recon2world_translation=shift),
            "state_dict": state_of(random_gaussians(30)),
        },
        skybox={"config": config("SkyboxGaussianSplattingModel"), "state_dict": state_of(random_gaussians(9, seed=1))},
        rigid_object_a1={"config": mirrored, "state_dict": state_of(random_gaussians(5, seed=2), **poses)},
        deformable_b2={"config": config("DeformableSubModel"), "state_dict": {"w": torch.zeros(1)}},
    )


def saved(content: object, path) -> object:
    torch.save(content, path)
    return path


def test_a_clip_comes_in_as_nodes(tmp_path):
    read = read_portable(saved(clip(), tmp_path / "clip.ckpt"))
    street, sky, agent = read.nodes
    assert [node.role for node in read.nodes] == ["street", "sky", "agent"]
    assert torch.equal(street.gaussians.sh_rest, random_gaussians(30).sh_rest)
    assert torch.equal(sky.gaussians.logit_opacity, random_gaussians(9, seed=1).logit_opacity)
    np.testing.assert_array_equal(read.map_from_recon, [331_220.0, 4_690_660.0, 0.0])
    assert agent.mirrored and agent.name == "rigid_object_a1"
    assert agent.present.tolist() == [True, True, False]
    np.testing.assert_allclose(agent.quat_wxyz, 0.5)
    np.testing.assert_allclose(agent.time, [0.0, 0.1, 0.2])
    assert read.left_out == ("deformable_b2 (DeformableSubModel)",)


def test_colours_of_degree_zero_are_sigmoids(tmp_path):
    cloud = random_gaussians(4, degree=0)
    node = {"config": config("VanillaGaussianSplattingModel", sh_degree=0), "state_dict": state_of(cloud)}
    (read,) = read_portable(saved({"background": node}, tmp_path / "clip.ckpt")).nodes
    torch.testing.assert_close(0.5 + SH_C0 * read.gaussians.sh_dc, torch.sigmoid(cloud.sh_dc))


def test_one_traversal_is_chosen(tmp_path):
    cloud = random_gaussians(4)
    state = state_of(cloud, **{"gauss_params.features_adapters": torch.arange(24.0).reshape(4, 2, 3)})
    state["gauss_params.features_rest"] = torch.stack([cloud.sh_rest, -cloud.sh_rest], dim=1)
    node = {"config": config("MultiColorGaussianSplattingModel"), "state_dict": state}
    (read,) = read_portable(saved({"background": node}, tmp_path / "clip.ckpt"), traversal=1).nodes
    assert torch.equal(read.gaussians.sh_rest, -cloud.sh_rest)
    assert torch.equal(read.gaussians.sh_dc[0], cloud.sh_dc[0] + torch.tensor([3.0, 4.0, 5.0]))
    with pytest.raises(BadInput, match="traversals"):
        read_portable(tmp_path / "clip.ckpt", traversal=2)


class Evil:
    def __reduce__(self):
        return print, ("this must not be printed",)


def test_code_is_refused_and_does_not_run(tmp_path, capsys):
    with pytest.raises(BadInput, match="refused"):
        read_portable(saved({"background": Evil()}, tmp_path / "evil.ckpt"))
    assert capsys.readouterr().out == ""


class Huge:
    """Asks NumPy for 2 TB."""

    def __reduce__(self):
        from numpy._core.multiarray import _reconstruct

        return _reconstruct, (np.ndarray, (1 << 41,), b"b")


def test_arrays_and_tensors_larger_than_the_file_are_refused(tmp_path):
    with pytest.raises(BadInput, match="bytes"):
        read_portable(saved({"background": Huge()}, tmp_path / "huge.ckpt"))
    wide = clip()
    wide["background"]["state_dict"]["gauss_params.means"] = torch.zeros(1, 1).expand(1 << 38, 3)
    with pytest.raises(BadInput, match="as many as the file holds"):
        read_portable(saved(wide, tmp_path / "wide.ckpt"))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "old.ckpt").write_bytes(pickle.dumps({"a": 1}))
    with zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(50_000_000))
    (tmp_path / "cut.ckpt").write_bytes(saved(clip(), tmp_path / "clip.ckpt").read_bytes()[:-500])
    saved({"model": torch.zeros(3)}, tmp_path / "other.ckpt")
    changed = clip()
    changed["skybox"]["state_dict"]["gauss_params.means"][0, 0] = torch.nan
    saved(changed, tmp_path / "nan.ckpt")
    for name in ("old", "bomb", "cut", "other", "nan", "absent"):
        with pytest.raises(BadInput) as caught:
            read_portable(tmp_path / f"{name}.ckpt")
        assert "\n" not in str(caught.value), name
