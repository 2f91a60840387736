"""Manifests and what `dataset verify` finds."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from made import made_rejection, made_sample
from simscale.dataset.files import put_in_place
from simscale.dataset.info import info_of
from simscale.dataset.manifest import commit_manifest, entries_of, read_manifest
from simscale.dataset.shards import digest_of, write_unit
from simscale.dataset.verify import faults_of
from simscale.scene import BadInput


def committed(folder: Path, *, samples: int = 2, seed: int = 0):
    made = [made_sample(i, t0=20 + 5 * i) for i in range(samples)]
    refused = [made_rejection(), made_rejection(), made_rejection(reason="comfort", expert="planner")]
    files = write_unit(folder / "tmp", "u0", made, refused).files
    for file in files:
        put_in_place(file, folder)
    return commit_manifest(
        folder,
        files=entries_of(files),
        digest=digest_of(folder),
        configuration={"rounds": 5},
        seed=seed,
        code_version="0.1.0",
        inputs=({"id": "log"},),
        counts={"samples": samples},
    )


def test_a_manifest_comes_back(tmp_path):
    written = committed(tmp_path)
    assert read_manifest(tmp_path) == written
    assert (written.number, written.parent) == (0, None)


def test_the_same_state_is_not_written_twice_and_another_names_its_parent(tmp_path):
    committed(tmp_path)
    assert committed(tmp_path).number == 0
    third = committed(tmp_path, seed=1)
    assert (third.number, third.parent) == (1, 0)
    assert read_manifest(tmp_path) == third


def test_two_writers_at_once_lose_nothing(tmp_path):
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from simscale.dataset.manifest import commit_manifest
        for i in range(20):
            commit_manifest(Path(sys.argv[1]), files=(), digest="", configuration={}, seed=i, code_version=sys.argv[2],
                            inputs=(), counts={})
    """)
    writers = [subprocess.Popen([sys.executable, "-c", script, tmp_path, name]) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert sorted(int(path.stem) for path in (tmp_path / "manifest").glob("*.json")) == list(range(40))
    assert read_manifest(tmp_path).number == 39


def test_a_sound_dataset_has_no_faults(tmp_path):
    committed(tmp_path)
    assert list(faults_of(tmp_path)) == []


def test_a_folder_that_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"manifest\.json: file is absent"):
        list(faults_of(tmp_path))


def flip(path: Path, at: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)


def test_every_flipped_bit_is_found(tmp_path):
    committed(tmp_path, samples=1)
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert len(files) == 6
    for number, path in enumerate(files):
        whole = path.read_bytes()
        for step in range(12):
            flip(path, at=(step * 7919 + number) % len(whole), bit=step % 8)
            assert any(path.name in fault for fault in faults_or_refusal(tmp_path)), (path.name, step)
            path.write_bytes(whole)


def faults_or_refusal(folder: Path) -> list[str]:
    try:
        return list(faults_of(folder))
    except BadInput as refusal:
        return [str(refusal)]


def test_a_missing_a_short_and_a_foreign_file_are_named(tmp_path):
    written = committed(tmp_path)
    data, index, _, scenes = (tmp_path / entry.file for entry in written.files)
    data.unlink()
    index.write_bytes(index.read_bytes()[:-1])
    scenes.with_name("mine.parquet").touch()
    faults = "\n".join(faults_of(tmp_path))
    assert f"{data.name}: absent" in faults
    assert f"{index.parent.name}/{index.name}: {index.stat().st_size} bytes" in faults
    assert "scenes/mine.parquet: not in the manifest" in faults


def test_info_counts_labels_and_reasons(tmp_path):
    committed(tmp_path)
    info = info_of(tmp_path)
    assert (info.samples, info.tokens, info.seed) == (2, 2, 0)
    assert [(count.expert, count.labelled, count.accepted) for count in info.labels] == [
        ("planner", 2, 2),
        ("recovery", 2, 0),
    ]
    assert [(count.reason, count.count) for count in info.rejections] == [("collision", 2), ("comfort", 1)]


def test_a_writer_killed_before_the_last_step_leaves_no_complete_folder(tmp_path):
    committed(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(BadInput):
        read_manifest(tmp_path)
    assert committed(tmp_path).number == 0
    assert [path.name for path in (tmp_path / "manifest").iterdir()] == ["0.json"]
