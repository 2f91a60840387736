import numpy as np
import pytest
import torch
from clouds import random_gaussians
from limited import refused_in_limits

from simscale.scene import BadInput
from simscale.splats.files_ply import read_ply, read_vertices, write_ply

HEADER = "ply\nformat binary_little_endian 1.0\nelement vertex {count}\n{properties}end_header\n"
XYZ = "property float x\nproperty float y\nproperty float z\n"


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_what_is_written_is_read_back_to_the_bit(tmp_path, degree):
    cloud = random_gaussians(degree=degree)
    write_ply(cloud, tmp_path / "cloud.ply")
    back = read_ply(tmp_path / "cloud.ply")
    for name, value in cloud.tensors().items():
        assert torch.equal(value, getattr(back, name)), name


def test_columns_stand_where_inria_puts_them(tmp_path):
    cloud = random_gaussians(4, degree=1)
    write_ply(cloud, tmp_path / "cloud.ply")
    columns = read_vertices(tmp_path / "cloud.ply")
    expected = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *(f"f_rest_{i}" for i in range(9))]
    assert list(columns) == [*expected, "opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    np.testing.assert_array_equal(columns["f_rest_4"], cloud.sh_rest[:, 1, 1])  # green's second of three
    np.testing.assert_array_equal(columns["rot_0"], cloud.quats[:, 0])


def test_big_endian_and_text_say_the_same(tmp_path):
    rows = np.array([(1.5, -2.0, 3.25, 7), (4.0, 5.0, 6.0, 255)], dtype=">f4,>f4,>f4,u1")
    properties = XYZ + "property uchar red\n"
    head = HEADER.replace("little", "big").format(count=2, properties=properties)
    (tmp_path / "big.ply").write_bytes(head.encode() + rows.tobytes())
    text = HEADER.replace("binary_little_endian", "ascii").format(count=2, properties=properties)
    (tmp_path / "text.ply").write_text(text + "1.5 -2 3.25 7\n4 5 6 255\n")
    for name in ("big", "text"):
        columns = read_vertices(tmp_path / f"{name}.ply")
        np.testing.assert_array_equal(columns["y"], [-2.0, 5.0])
        np.testing.assert_array_equal(columns["red"], [7, 255])
        assert columns["x"].dtype == np.float32 and columns["red"].dtype == np.uint8


def test_faces_after_the_points_are_left_alone(tmp_path):
    head = HEADER.format(count=1, properties=XYZ + "element face 1\nproperty list uchar int vertex_indices\n")
    (tmp_path / "mesh.ply").write_bytes(head.encode() + np.ones(3, "<f4").tobytes() + b"\x03" + bytes(12))
    np.testing.assert_array_equal(read_vertices(tmp_path / "mesh.ply")["z"], [1.0])


def inria(count: int, content: bytes, **changes: str) -> bytes:
    """A file of degree 0 whose header and content need not agree."""
    names = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2"]
    names += ["rot_0", "rot_1", "rot_2", "rot_3"]
    lines = "".join(f"property {changes.get(name, 'float')} {name}\n" for name in names)
    return HEADER.format(count=count, properties=lines).encode() + content


ROW = np.full(14, 0.5, "<f4")
NAN, FAR = ROW.copy(), ROW.copy()
NAN[1], FAR[7] = np.nan, np.inf
NO_TURN = ROW.copy()
NO_TURN[10:] = 0
HOSTILE = {
    "10^7 points": (inria(10**7, ROW.tobytes()), "560000000, as its header says"),
    "10^12 points": (inria(10**12, ROW.tobytes()), "at most"),
    "10^18 points": (inria(10**18, ROW.tobytes()), "at most"),
    "10^40 points": (inria(10**40, ROW.tobytes()), "element"),
    "negative count": (inria(-1, b""), "element"),
    "cut off": (inria(2, ROW.tobytes()), "56 bytes"),
    "too long": (inria(1, ROW.tobytes() * 2), "112 bytes"),
    "not a number": (inria(1, NAN.tobytes()), "property y"),
    "infinite": (inria(1, FAR.tobytes()), "property scale_0"),
    "no rotation": (inria(1, NO_TURN.tobytes()), "rotation"),
    "wrong type": (inria(1, ROW.tobytes(), x="int"), "property x"),
    "unknown type": (inria(1, ROW.tobytes(), x="quad"), "quad"),
    "list": (inria(1, ROW.tobytes(), x="list uchar float"), "list"),
    "huge name": (inria(1, ROW.tobytes(), x="float " + "a" * 30_000), "property"),
    "endless header": (b"ply\n" + b"comment " * 2_000_000, "without an end"),
    "many properties": (
        HEADER.format(count=1, properties="".join(f"property char p{i}\n" for i in range(3000))),
        "3000",
    ),
    "twice the same": (HEADER.format(count=0, properties=XYZ * 2), "each once"),
    "no points": (HEADER.replace("vertex", "face").format(count=1, properties=XYZ), "face"),
    "points only": (HEADER.format(count=1, properties=XYZ).encode() + bytes(12), "point cloud"),
    "packed": (HEADER.format(count=1, properties="property uint packed_position\n").encode() + bytes(4), "compressed"),
    "text that lies": (
        HEADER.replace("binary_little_endian", "ascii").format(count=10**7, properties=XYZ) + "1 2 3",
        "hold",
    ),
    "not text": (HEADER.replace("binary_little_endian", "ascii").format(count=1, properties=XYZ) + "a b c", "numbers"),
    "another format": (b"\x89PNG\r\n", "letters ply"),
    "empty": (b"", "letters ply"),
    "bytes in the header": (b"ply\nformat \xff\xfe\nend_header\n", "ASCII"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_give_one_sentence(tmp_path, case):
    content, said = HOSTILE[case]
    path = tmp_path / "cloud.ply"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput) as caught:
        read_ply(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_every_cut_of_a_file_is_refused(tmp_path):
    write_ply(random_gaussians(2, degree=0), tmp_path / "cloud.ply")
    whole = (tmp_path / "cloud.ply").read_bytes()
    for end in range(0, len(whole), 7):
        (tmp_path / "cut.ply").write_bytes(whole[:end])
        with pytest.raises(BadInput):
            read_ply(tmp_path / "cut.ply")


def test_hostile_files_cost_neither_memory_nor_time(tmp_path):
    paths = []
    for number, (content, _) in enumerate(HOSTILE.values()):
        paths.append(tmp_path / f"{number}.ply")
        paths[-1].write_bytes(content if isinstance(content, bytes) else content.encode())
    refused_in_limits("simscale.splats.files_ply", "read_ply", paths)
