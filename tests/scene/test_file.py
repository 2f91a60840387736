import dataclasses
import json
import zipfile

import numpy as np
import pytest

from simscale.scene import BadInput, TrackKind
from simscale.scene.check import arrays_of
from simscale.scene.file import read_scene, scene_files, write_scene
from worlds import changed, straight_scene


def test_a_scene_comes_back_as_it_was_written(tmp_path):
    scene = straight_scene(boxes=[(20, 0, 0, 5), (30, 3.5, 0, 0)])
    back = read_scene(write_scene(scene, tmp_path))
    for name, array in arrays_of(scene).items():
        np.testing.assert_array_equal(arrays_of(back)[name], array, err_msg=name)
    assert back.tracks.id == scene.tracks.id
    assert back.vehicle == scene.vehicle
    assert back.missing == scene.missing


def test_the_same_scene_gives_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_scene(straight_scene(), tmp_path / folder)
    files = [scene_files(tmp_path / folder)[0].read_bytes() for folder in ("a", "b")]
    assert files[0] == files[1]


def rewritten(path, change):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(members["scene.json"])
    change(header, members)
    members["scene.json"] = json.dumps(header).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_a_newer_version_is_refused(tmp_path):
    path = write_scene(straight_scene(), tmp_path)
    rewritten(path, lambda header, members: header.update(version=2))
    with pytest.raises(BadInput, match="version is 2, expected 1"):
        read_scene(path)


def test_a_field_it_does_not_know_is_refused(tmp_path):
    path = write_scene(straight_scene(), tmp_path)
    rewritten(path, lambda header, members: header["plain"].update(weather="rain"))
    with pytest.raises(BadInput, match="weather"):
        read_scene(path)


def test_an_array_of_another_shape_is_refused(tmp_path):
    path = write_scene(straight_scene(boxes=[(1, 2, 0, 0)]), tmp_path)

    def shorten(header, members):
        import io

        buffer = io.BytesIO()
        np.save(buffer, np.ones((1, 2)))
        members["tracks.size.npy"] = buffer.getvalue()

    rewritten(path, shorten)
    with pytest.raises(BadInput, match=r"tracks.size is float64 \(1, 2\)"):
        read_scene(path)


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, keep):
    path = write_scene(straight_scene(), tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if keep < 1 else keep])
    with pytest.raises(BadInput, match=r"empty|damaged"):
        read_scene(path)


def test_a_flipped_byte_never_passes_silently(tmp_path):
    path = write_scene(straight_scene(boxes=[(20, 0, 0, 5)]), tmp_path)
    data = path.read_bytes()
    before = arrays_of(read_scene(path))
    for at in np.random.default_rng(0).integers(0, len(data), 60):
        path.write_bytes(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
        try:
            after = arrays_of(read_scene(path))
        except BadInput:
            continue
        for name in before:  # a flip in the archive's own bookkeeping changes no content
            np.testing.assert_array_equal(after[name], before[name])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: changed(s, ego_z=np.full(len(s), np.nan)), "ego_z is not finite"),
        (
            lambda s: changed(s, tracks=dataclasses.replace(s.tracks, size=np.zeros((1, 3)))),
            "tracks.size of agent-0 is",
        ),
        (
            lambda s: changed(s, tracks=dataclasses.replace(s.tracks, kind=np.array([99]))),
            "tracks.kind is .99., expected 0 .vehicle.",
        ),
        (lambda s: changed(s, route=np.array([77])), "route is 77 to 77"),
        (lambda s: changed(s, id="../x"), "id is"),
    ],
)
def test_a_scene_that_no_stage_could_use_is_not_written(tmp_path, change, says):
    with pytest.raises(BadInput, match=says):
        write_scene(change(straight_scene(boxes=[(20, 0, 0, 5)])), tmp_path)
    assert not list(tmp_path.iterdir())


def test_masked_numbers_may_be_anything(tmp_path):
    scene = straight_scene(boxes=[(20, 0, 0, 5)])
    tracks = scene.tracks
    xy, valid = tracks.xy.copy(), tracks.valid.copy()
    xy[0, 3], valid[0, 3] = np.nan, False
    back = read_scene(write_scene(changed(scene, tracks=dataclasses.replace(tracks, xy=xy, valid=valid)), tmp_path))
    assert not back.tracks.valid[0, 3]
    assert back.tracks.kind[0] == TrackKind.VEHICLE


def test_a_folder_without_scenes_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no scene"):
        scene_files(tmp_path)
    with pytest.raises(BadInput, match="missing"):
        scene_files(tmp_path / "nowhere")
