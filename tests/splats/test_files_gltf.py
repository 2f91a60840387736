import copy
import json
import struct

import numpy as np
import pytest
import torch
from clouds import random_gaussians, turned
from limited import refused_in_limits

from simscale.scene import BadInput
from simscale.splats.files_gltf import EXTENSION, Y_UP_FROM_Z_UP, read_glb, write_glb


def parts_of(glb: bytes) -> tuple[dict, bytes]:
    room = struct.unpack("<I", glb[12:16])[0]
    return json.loads(glb[20 : 20 + room]), glb[28 + room :]


def glb_of(description: object, content: bytes, *, text: bytes | None = None) -> bytes:
    encoded = json.dumps(description).encode() if text is None else text
    encoded += b" " * (-len(encoded) % 4)
    size = 28 + len(encoded) + len(content)
    head = struct.pack("<4sIIII", b"glTF", 2, size, len(encoded), 0x4E4F534A)
    return head + encoded + struct.pack("<II", len(content), 0x004E4942) + content


@pytest.fixture
def written(tmp_path) -> tuple[dict, bytes]:
    write_glb(random_gaussians(20, degree=1), tmp_path / "written.glb")
    return parts_of((tmp_path / "written.glb").read_bytes())


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_what_is_written_is_read_back(tmp_path, degree):
    cloud = random_gaussians(degree=degree)
    write_glb(cloud, tmp_path / "cloud.glb")
    back = read_glb(tmp_path / "cloud.glb")
    for name in ("means", "sh_dc", "sh_rest"):
        assert torch.equal(getattr(back, name), getattr(cloud, name)), name
    torch.testing.assert_close(back.log_scales, cloud.log_scales, atol=1e-5, rtol=0)
    torch.testing.assert_close(back.logit_opacity, cloud.logit_opacity, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(turned(back), turned(cloud), atol=1e-6, rtol=0)


def test_the_form_is_the_extensions(written):
    description, content = written
    primitive = description["meshes"][0]["primitives"][0]
    assert description["extensionsUsed"] == [EXTENSION] and primitive["mode"] == 0
    assert primitive["extensions"][EXTENSION] == {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}
    attributes = primitive["attributes"]
    assert {f"{EXTENSION}:SH_DEGREE_1_COEF_{n}" for n in range(3)} <= set(attributes)
    cloud = random_gaussians(20, degree=1)
    accessor = description["accessors"][attributes[f"{EXTENSION}:ROTATION"]]
    start = description["bufferViews"][accessor["bufferView"]]["byteOffset"]
    rotation = np.frombuffer(content, "<f4", 80, start).reshape(20, 4)
    unit = cloud.quats / cloud.quats.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(rotation, unit[:, [1, 2, 3, 0]], atol=1e-6)  # xyzw
    place = description["accessors"][attributes["POSITION"]]
    np.testing.assert_allclose(place["min"], cloud.means.min(0).values)
    assert all(view["byteOffset"] % 4 == 0 for view in description["bufferViews"])


def test_the_node_turns_up_upwards():
    x, y, z, w = Y_UP_FROM_Z_UP
    up = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])  # where z goes
    np.testing.assert_allclose(up, [0, 1, 0], atol=1e-12)


def broken(written, change) -> bytes:
    description, content = copy.deepcopy(written[0]), written[1]
    changed = change(description)
    return glb_of(description if changed is None else changed, content)


def set_in(where: tuple, value: object):
    def change(description: dict) -> None:
        for key in where[:-1]:
            description = description[key]
        description[where[-1]] = value

    return change


HOSTILE = {
    "10^12 rows": set_in(("accessors", 0, "count"), 10**12),
    "10^300 rows": set_in(("accessors", 0, "count"), 10**300),
    "no rows": set_in(("accessors", 0, "count"), 0),
    "negative rows": set_in(("accessors", 0, "count"), -5),
    "rows as text": set_in(("accessors", 0, "count"), "20"),
    "far away": set_in(("bufferViews", 0, "byteOffset"), 2**62),
    "huge view": set_in(("bufferViews", 3, "byteLength"), 2**62),
    "stride of zero": set_in(("bufferViews", 0, "byteStride"), 0),
    "other columns shorter": set_in(("accessors", 2, "count"), 3),
    "unknown component": set_in(("accessors", 0, "componentType"), 5125),
    "matrix": set_in(("accessors", 0, "type"), "MAT4"),
    "sparse": set_in(("accessors", 0, "sparse"), {"count": 10**12}),
    "no such accessor": set_in(("meshes", 0, "primitives", 0, "attributes", "POSITION"), 10**9),
    "another buffer": set_in(("bufferViews", 0, "buffer"), 1),
    "compressed": set_in(("meshes", 0, "primitives", 0, "extensions", EXTENSION, "extensions"), {"spz": {}}),
    "triangles": set_in(("meshes", 0, "primitives", 0, "mode"), 4),
    "no extension": set_in(("meshes", 0, "primitives", 0, "extensions"), {}),
    "attributes as text": set_in(("meshes", 0, "primitives", 0, "attributes"), "x" * 100_000),
    "meshes as number": set_in(("meshes",), 7),
    "huge string": set_in(("asset", "generator"), "x" * (2 << 20)),
    "a list": lambda description: [description],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_descriptions_give_one_sentence(tmp_path, written, case):
    path = tmp_path / "cloud.glb"
    path.write_bytes(broken(written, HOSTILE[case]))
    if case == "huge view":  # a view may promise more, if nothing of it is asked for
        assert len(read_glb(path)) == 20
        return
    with pytest.raises(BadInput) as caught:
        read_glb(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def raw_cases(written) -> dict[str, bytes]:
    description, content = written
    whole = glb_of(description, content)
    nan = bytearray(content)
    nan[:4] = struct.pack("<f", float("nan"))
    return {
        "not a number": glb_of(description, bytes(nan)),
        "cut off": whole[:-1],
        "too long": whole + b"\0",
        "head only": whole[:18],
        "empty": b"",
        "no content": whole[: 20 + struct.unpack("<I", whole[12:16])[0]],
        "not JSON": glb_of(None, content, text=b"{" * 1000),
        "deep": glb_of(None, content, text=b"[" * 500_000 + b"]" * 500_000),
        "long number": glb_of(None, content, text=b'{"meshes":' + b"9" * 900_000 + b"}"),
        "another version": whole[:4] + struct.pack("<I", 1) + whole[8:],
        "description of 4 GB": whole[:12] + struct.pack("<I", 2**32 - 1) + whole[16:],
        "another file": b"ply\n" + whole,
    }


def test_hostile_bytes_give_one_sentence(tmp_path, written):
    for name, content in raw_cases(written).items():
        (tmp_path / "cloud.glb").write_bytes(content)
        with pytest.raises(BadInput) as caught:
            read_glb(tmp_path / "cloud.glb")
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 600, name


def test_hostile_files_cost_neither_memory_nor_time(tmp_path, written):
    cases = raw_cases(written) | {name: broken(written, c) for name, c in HOSTILE.items() if name != "huge view"}
    paths = []
    for number, content in enumerate(cases.values()):
        paths.append(tmp_path / f"{number}.glb")
        paths[-1].write_bytes(content)
    refused_in_limits("simscale.splats.files_gltf", "read_glb", paths)
