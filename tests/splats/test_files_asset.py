import json

import pytest
import torch
from clouds import random_gaussians

from simscale.scene import BadInput
from simscale.splats.files_asset import DESCRIPTION, Asset, gaussians_in, read_asset, tensors_of, write_asset


@pytest.fixture
def asset() -> Asset:
    tensors = tensors_of(random_gaussians(30), "street") | {"step": torch.tensor(7)}
    return Asset(kind="street", description={"cameras": ["front"], "seed": 3}, tensors=tensors)


def test_what_is_written_is_read_back(tmp_path, asset):
    digest = write_asset(asset, tmp_path / "asset")
    back = read_asset(tmp_path / "asset", kind="street")
    assert back.digest == digest and back.description == asset.description
    assert all(torch.equal(back.tensors[name], value) for name, value in asset.tensors.items())
    cloud = gaussians_in(back.tensors, "street", where=tmp_path)
    assert torch.equal(cloud.sh_rest, random_gaussians(30).sh_rest)


def test_the_same_content_gives_the_same_bytes(tmp_path, asset):
    for name in ("one", "two"):
        write_asset(asset, tmp_path / name)
    files = {name: sorted(p.name for p in (tmp_path / name).iterdir()) for name in ("one", "two")}
    assert files["one"] == files["two"] and len(files["one"]) == 2
    for name in files["one"]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_new_asset_takes_the_place_of_the_old(tmp_path, asset):
    write_asset(asset, tmp_path)
    newer = Asset(kind="street", description={}, tensors={"step": torch.tensor(8)})
    write_asset(newer, tmp_path)
    assert read_asset(tmp_path).tensors["step"] == 8 and len(list(tmp_path.iterdir())) == 2


def test_damage_is_seen(tmp_path, asset):
    write_asset(asset, tmp_path)
    (tensors,) = tmp_path.glob("*.safetensors")
    whole = bytearray(tensors.read_bytes())
    whole[-1] ^= 1
    tensors.write_bytes(whole)
    with pytest.raises(BadInput, match="sha256"):
        read_asset(tmp_path)
    tensors.unlink()
    with pytest.raises(BadInput, match="missing"):
        read_asset(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, "format"),
        ({"version": 2}, "newer"),
        ({"kind": "checkpoint"}, "kind"),
        ({"sha256": "../../etc/passwd"}, "hexadecimal"),
        ({"tensors": {}}, "other than described"),
        ({"description": 3}, "description"),
    ],
)
def test_a_description_of_something_else_is_refused(tmp_path, asset, change, said):
    write_asset(asset, tmp_path)
    path = tmp_path / DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadInput, match=said):
        read_asset(tmp_path, kind="street")


def test_gaussians_of_other_shapes_are_refused(tmp_path):
    tensors = tensors_of(random_gaussians(5), "a")
    for name, value in (("a.quats", torch.zeros(5, 3)), ("a.means", torch.full((5, 3), torch.nan)), ("a.sh_dc", None)):
        changed = {key: tensor for key, tensor in (tensors | {name: value}).items() if tensor is not None}
        with pytest.raises(BadInput, match=name.replace(".", r"\.")):
            gaussians_in(changed, "a", where=tmp_path)
