"""What a user can get wrong: one sentence that names file, field, what was found and what is expected; no traceback."""

import dataclasses
import io
import json
import os
import pickle
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from command import asked, code_of, told
from ingest.argoverse2_log import write_log
from simscale.cli.commands import Dataset
from simscale.cli.main import exit_code_of
from simscale.scene import Scene
from simscale.scene.file import scene_files, write_scene
from worlds import changed, straight_scene

Change = Callable[[dict, dict], None]
"""Changes the header and the arrays of a scene file."""


@pytest.fixture
def refused(capsys) -> Callable[..., str]:
    """Runs a command that must refuse its input, and gives its one sentence."""

    def ask(*arguments: object) -> str:
        assert code_of(*arguments) == 2
        out, err = capsys.readouterr()
        (line,) = err.strip().splitlines()
        assert out == "" and line.startswith("simscale: ") and "Traceback" not in line
        return line.removeprefix("simscale: ")

    return ask


@pytest.fixture
def generating(tiny_vocabulary) -> Callable[..., list[object]]:
    """The command that generates one round."""

    def command(*scenes: Path, out: Path, more: tuple[object, ...] = ()) -> list[object]:
        common = ["--rounds", 1, "--workers", 1, "--vocabulary", tiny_vocabulary]
        return ["generate", *scenes, "--out", out, *common, *more]

    return command


def scene_named(name: str, *, seconds: float = 11.5, **fields: object) -> Scene:
    return changed(straight_scene(seconds=seconds, boxes=[(30.0, 0.0, 0.0, 8.0)]), id=name, **fields)


def without_map(name: str) -> Scene:
    scene = scene_named(name)
    road = dataclasses.replace(
        scene.road,
        id=(),
        start=np.zeros(1, dtype=np.int64),
        centre_start=np.zeros(1, dtype=np.int64),
        **{
            f: getattr(scene.road, f)[:0]
            for f in ("kind", "xy", "centre_xy", "speed_limit", "has_speed_limit", "group")
        },
    )
    return changed(scene, road=road, route=scene.route[:0])


def damaged(folder: Path, change: Change) -> Path:
    """A scene file that no writer of ours would leave."""
    path = write_scene(scene_named("damaged"), folder)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(members.pop("scene.json"))
    arrays = {name.removesuffix(".npy"): np.load(io.BytesIO(content)) for name, content in members.items()}
    change(header, arrays)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scene.json", json.dumps(header))
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(f"{name}.npy", content.getvalue())
    return path


def plain(noun: str, field: str, value: object) -> Change:
    return lambda header, arrays: header["plain"][noun].update({field: value})


def array(name: str, value: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda header, arrays: arrays.update({name: value(arrays[name])})


def with_nan(values: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(values))[:, None] == 5, np.nan, values)


def longer(header: dict, arrays: dict) -> None:
    header["arrays"]["timestamp_us"]["shape"] = [4000]
    header["plain"]["vehicle"]["length"] = 0.0  # the lie alone is harmless: arrays are what they are


BAD_SCENES = {
    "NaN pose": (array("ego.xy", with_nan), "ego.xy is not finite at 2 of"),
    "NaN heading": (array("ego.yaw", lambda a: a * np.nan), "ego.yaw is not finite"),
    "track of no size": (array("tracks.size", lambda a: a * [1, 0, 1]), "tracks.size of agent-0 is [4.5, 0.0, 1.5]"),
    "unknown map kind": (array("road.kind", lambda a: a + 90), "road.kind is [90, 96], expected 0 (lane), 1"),
    "unknown agent kind": (array("tracks.kind", lambda a: a + 90), "tracks.kind is [90], expected 0 (vehicle)"),
    "newer version": (lambda header, arrays: header.update(version=2), "version is 2, expected 1 (update simscale"),
    "another format": (lambda header, arrays: header.update(format="x"), "format is 'x', expected 'simscale-scene'"),
    "another rate": (array("timestamp_us", lambda a: a // 2), "step of timestamp_us is 50000 us"),
    "time runs back": (array("timestamp_us", lambda a: a[::-1].copy()), "step of timestamp_us is -100000 us"),
    "car of no size": (plain("vehicle", "length", 0.0), "vehicle.length is 0.0, expected a finite number"),
    "car of NaN size": (plain("vehicle", "width", float("nan")), "vehicle.width is nan"),
    "car in words": (plain("vehicle", "length", "long"), "scene.json: vehicle.length is str, expected a number"),
    "names in numbers": (plain("tracks", "id", [1]), "scene.json: tracks.id is list, expected a list of texts"),
    "array in header": (plain("ego", "xy", 5), "scene.json: ego.xy is int, expected an array of its own"),
    "field too many": (lambda header, arrays: header["plain"].update(weather="x"), "unknown fields ['weather']"),
    "long id": (lambda header, arrays: header["plain"].update(id="x" * 81), "id is 'xxx"),
    "id with a path": (lambda header, arrays: header["plain"].update(id="../x"), "id is '../x', expected up to 80"),
    "header that lies": (longer, "vehicle.length is 0.0"),
    "reference to nothing": (array("route", lambda a: a + 77), "route is 77 to 77, expected elements 0 to 3"),
    "short array": (array("ego.yaw", lambda a: a[:-1]), "ego.yaw is float64"),
}


@pytest.mark.parametrize("name", BAD_SCENES)
def test_a_bad_scene_is_refused_before_anything_is_made(tmp_path, generating, refused, name):
    change, words = BAD_SCENES[name]
    path = damaged(tmp_path, change)
    line = refused(*generating(tmp_path, out=tmp_path / "o"))
    assert line.startswith(str(path)) and words in line
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("keep", [0, 30, 0.3, 0.99])
def test_a_cut_scene_is_refused_by_all_who_read_it(tmp_path, generating, refused, keep):
    path = write_scene(scene_named("cut"), tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: round(keep * len(content)) if isinstance(keep, float) else keep])
    for command in (
        generating(tmp_path, out=tmp_path / "o"),
        ["vocabulary", "build", tmp_path, "--out", tmp_path / "v.npy"],
        ["show", path, "--out", tmp_path / "o.png"],
    ):
        assert refused(*command).startswith(f"{path}: file is {'empty' if keep == 0 else 'damaged'}")
    assert {p.name for p in tmp_path.iterdir()} == {path.name}


def test_a_log_without_a_decision_point_is_listed_and_the_others_go_on(tmp_path, generating, refused, capsys):
    for scene in (scene_named("good"), scene_named("brief", seconds=5.0), without_map("bare")):
        write_scene(scene, tmp_path)
    assert code_of(*generating(tmp_path, out=tmp_path / "o", more=("--json",))) == 0
    out, err = capsys.readouterr()
    numbers = told(out)
    assert set(numbers["logs"]) == {"good"} and numbers["perturb"]["rounds"] > 0
    assert numbers["too_short"] == {"brief": 5.0} and numbers["without_map"] == ["bare"]
    assert "brief: 5.0 s, too short for a decision point" in err and "bare: no map, which generate needs" in err
    report = (tmp_path / "o/report.html").read_text()
    assert "too short (5.0 s)" in report and "no map" in report


@pytest.mark.parametrize(
    ("scenes", "words"),
    [
        ([scene_named("brief", seconds=10.8)], "length of the longest log with a map is 10.8 s, expected 10.9 s"),
        ([without_map("bare")], "longest log with a map is 0.0 s (without a map: bare), expected 10.9 s"),
        ([without_map("bare"), scene_named("brief", seconds=5.0)], "is 5.0 s (without a map: bare), expected 10.9 s"),
    ],
)
def test_no_decision_point_at_all_is_refused(tmp_path, generating, refused, scenes, words):
    for scene in scenes:
        write_scene(scene, tmp_path)
    assert words in refused(*generating(tmp_path, out=tmp_path / "o"))
    assert not (tmp_path / "o").exists()


def test_the_shortest_log_with_a_decision_point_has_one(tmp_path, generating, capsys):
    write_scene(scene_named("just", seconds=10.9), tmp_path)
    assert code_of(*generating(tmp_path, out=tmp_path / "o", more=("--json",))) == 0
    assert told(capsys.readouterr().out)["tokens"] == 1


def test_two_scenes_with_one_id_are_refused_and_one_scene_twice_is_not(tmp_path, generating, refused, capsys):
    for name, seconds in (("a", 11.0), ("b", 11.2)):
        (tmp_path / name).mkdir()
        write_scene(scene_named("one", seconds=seconds), tmp_path / name)
    line = refused(*generating(tmp_path / "a", tmp_path / "b", out=tmp_path / "o"))
    assert "b/one.scene.npz: id is 'one', expected an id of its own" in line and "a/one.scene.npz has it too" in line
    shutil.copy(tmp_path / "a/one.scene.npz", tmp_path / "b/one.scene.npz")
    assert code_of(*generating(tmp_path / "a", tmp_path / "b", out=tmp_path / "o")) == 0


def test_scenes_that_are_not_there_are_refused(tmp_path, generating, refused):
    assert "nowhere: path is missing" in refused(*generating(tmp_path / "nowhere", out=tmp_path / "o"))
    assert "content is no scene" in refused(*generating(tmp_path, out=tmp_path / "o"))
    (tmp_path / "words.txt").write_text("no scene")
    assert "words.txt: file is damaged" in refused(*generating(tmp_path / "words.txt", out=tmp_path / "o"))


def trajectories(kind: str = "<f4") -> np.ndarray:
    return np.cumsum(np.tile([0.5, 0.0, 0.0], (3, 40, 1)), axis=1).astype(kind)


def npy(poses: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, poses)
    return content.getvalue()


BAD_VOCABULARIES = {
    "empty": (b"", "file is unreadable"),
    "words": (b"no array at all", "file is unreadable"),
    "cut": (npy(trajectories())[:700], "file is unreadable"),
    "cut header": (npy(trajectories())[:40], "file is unreadable"),
    "broken header": (npy(trajectories()).replace(b"{'descr'", b"{('descr"), "file is unreadable"),
    "endless": (npy(trajectories()).replace(b"(3, 40, 3), } ", b"(3, 40, 3000000000000)}"[:14]), "file is unreadable"),
    "pickle": (npy(np.array([{}], dtype=object)), "file is unreadable"),
    "another length": (npy(trajectories()[:, :8]), "shape is (3, 8, 3), expected (v, 40, 3)"),
    "none": (npy(trajectories()[:0]), "shape is (0, 40, 3)"),
    "whole numbers": (npy(trajectories("<i8")), "type is int64, expected floats"),
    "NaN": (npy(trajectories() * [1, np.nan, 1]), "what is not a number"),
    "backwards": (npy(-trajectories()), "backwards in all 3 trajectories"),
}


@pytest.mark.parametrize("name", BAD_VOCABULARIES)
def test_a_bad_vocabulary_is_refused(tmp_path, refused, name):
    content, words = BAD_VOCABULARIES[name]
    path = write_scene(scene_named("good"), tmp_path)
    (tmp_path / "v.npy").write_bytes(content)
    line = refused("generate", path, "--out", tmp_path / "o", "--vocabulary", tmp_path / "v.npy")
    assert line.startswith(str(tmp_path / "v.npy")) and words in line
    assert not (tmp_path / "o").exists()


def test_a_vocabulary_that_is_not_there_is_refused(tmp_path, refused):
    path = write_scene(scene_named("good"), tmp_path)
    ask = ("generate", path, "--out", tmp_path / "o", "--vocabulary")
    assert "v.npy: file is missing" in refused(*ask, tmp_path / "v.npy")
    assert "Is a directory" in refused(*ask, tmp_path)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--rounds", 0), "--rounds is 0, expected 1 or more"),
        (("--seed", -1), "--seed is -1, expected 0 to"),
        (("--seed", 2**63), f"--seed is {2**63}, expected 0 to {2**63 - 1}"),
        (("--workers", 0), "--workers is 0, expected 1 or more"),
        (("--experts", "oracle"), "--experts is 'oracle', expected planner or recovery"),
        (("--experts", ""), "--experts is '', expected planner or recovery"),
        (("--experts", "planner,planner"), "--experts is planner,planner, expected each expert once"),
    ],
)
def test_impossible_settings_are_refused(tmp_path, generating, refused, more, words):
    path = write_scene(scene_named("good"), tmp_path)
    assert words in refused(*generating(path, out=tmp_path / "o", more=more))


def test_a_folder_begun_with_other_settings_is_refused(tiny_dataset, tmp_path, refused):
    out = tiny_dataset.copied_to(tmp_path / "o")
    line = refused(*tiny_dataset.command(out, "--rounds", 2))
    assert "begun with settings.rounds=1 (asked for now: 2), expected the same, or another --out" in line
    line = refused(*tiny_dataset.command(out, "--experts", "planner", "--traffic", "replay"))
    assert "settings.experts=['planner', 'recovery'] (asked for now: ['planner'])" in line and "replay" in line
    line = refused(*tiny_dataset.command(out, scenes=(scene_files(tiny_dataset.scenes)[0],)))
    assert "logs.town-5-1=" in line and "(asked for now: nothing)" in line and len(line) < 500


def test_a_folder_that_is_something_else_is_not_written_over(tiny_dataset, tmp_path, refused, capsys):
    scenes = tmp_path / "scenes"
    assert code_of("ingest", "argoverse2", write_log(tmp_path / "log"), "--out", scenes) == 0
    capsys.readouterr()
    before = {path.name: path.read_bytes() for path in scenes.iterdir()}
    assert "manifest.json: format is None, expected simscale-shards" in refused(*tiny_dataset.command(scenes))
    assert {path.name: path.read_bytes() for path in scenes.iterdir()} == before
    dataset = tiny_dataset.copied_to(tmp_path / "o")
    line = refused("town", "--out", dataset, "--drives", 1)
    assert "manifest.json: content is of something else, expected a manifest of town or ingest" in line
    assert code_of("dataset", "verify", dataset) == 0


def test_a_ledger_that_is_none_is_refused(tmp_path, generating, refused):
    path = write_scene(scene_named("good"), tmp_path)
    (tmp_path / "o").mkdir()
    (tmp_path / "o/ledger.sqlite").write_bytes(b"no database" * 100)
    assert "ledger.sqlite: file is unreadable" in refused(*generating(path, out=tmp_path / "o"))


class ImportsOs:
    """Unpickled by Python, this runs a command."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


def test_a_pickle_that_imports_os_is_refused_and_not_run(tmp_path, capsys):
    (tmp_path / "logs").mkdir()
    bad = tmp_path / "logs/sd_bad_scene.pkl"
    bad.write_bytes(pickle.dumps({"id": ImportsOs(tmp_path / "hacked")}))
    assert code_of("ingest", "scenarionet", tmp_path / "logs", "--out", tmp_path / "o", "--json") == 2
    out, err = capsys.readouterr()
    assert not (tmp_path / "hacked").exists()
    (refusal,) = told(out)["refused"]
    assert refusal["log"] == str(bad) and f"refused: {refusal['error']}" in err and "system" in refusal["error"]
    assert "Traceback" not in err and not (tmp_path / "o/manifest.json").exists()


LOG_NAMES = {
    "argoverse2": "annotations.feather",
    "argoverse2-motion": "scenario_0a1b.parquet",
    "scenarionet": "sd_bad.pkl",
    "commonroad": "USA_Bad-1_1_T-1.xml",
}


@pytest.mark.parametrize("kind", LOG_NAMES)
@pytest.mark.parametrize("content", [b"", b"<", b"PAR1\x00\x00", b"\x80\x04"])
def test_a_bad_log_of_any_kind_is_refused(tmp_path, capsys, kind, content):
    log = tmp_path / "logs/0a1b"
    log.mkdir(parents=True)
    (log / LOG_NAMES[kind]).write_bytes(content)
    assert code_of("ingest", kind, tmp_path / "logs", "--out", tmp_path / "o") == 2
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err and "fault of ours" not in err
    assert str(tmp_path / "logs") in err.splitlines()[0]


@pytest.mark.parametrize("kind", LOG_NAMES)
def test_logs_that_are_not_there_are_refused(tmp_path, refused, kind):
    (tmp_path / "logs").mkdir()
    for source in ("logs", "nowhere"):
        assert str(tmp_path / source) in refused("ingest", kind, tmp_path / source, "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("name", ["annotations.feather", "city_SE3_egovehicle.feather"])
def test_a_cut_log_is_named_and_the_good_one_goes_on(tmp_path, capsys, name):
    good, bad = write_log(tmp_path / "logs" / "good"), write_log(tmp_path / "logs" / "bad")
    content = (bad / name).read_bytes()
    (bad / name).write_bytes(content[: len(content) // 2])
    assert code_of("ingest", "argoverse2", tmp_path / "logs", "--out", tmp_path / "o", "--json") == 1
    numbers = told(capsys.readouterr().out)
    assert [refusal["log"] for refusal in numbers["refused"]] == [str(bad)] and name in numbers["refused"][0]["error"]
    assert [scene["id"] for scene in numbers["scenes"]] == [good.name]


WRITERS = ("ingest", "town", "generate", "vocabulary", "show")


@pytest.fixture
def writing(tmp_path, generating) -> Callable[[str, Path], list[object]]:
    """A command that works, with the output to be chosen."""
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    scene, log = write_scene(scene_named("good"), inputs), write_log(tmp_path / "log")

    def command(name: str, out: Path) -> list[object]:
        return {
            "ingest": lambda: ["ingest", "argoverse2", log, "--out", out],
            "town": lambda: ["town", "--out", out, "--drives", 1, "--size", 240],
            "generate": lambda: generating(scene, out=out),
            "vocabulary": lambda: ["vocabulary", "build", inputs, "--out", out / "v.npy", "--size", 20],
            "show": lambda: ["show", scene, "--out", out / "scene.png"],
        }[name]()

    return command


@pytest.mark.parametrize("name", WRITERS)
def test_an_output_below_a_file_is_refused(tmp_path, writing, refused, name):
    (tmp_path / "file").write_text("kept")
    line = refused(*writing(name, tmp_path / "file/below"))
    assert str(tmp_path / "file") in line and "Not a directory" in line
    line = refused(*writing(name, tmp_path / "file"))
    assert str(tmp_path / "file") in line and ("no folder" in line or "Not a directory" in line)
    assert (tmp_path / "file").read_text() == "kept"


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system of its own; skipped where one may not mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs may be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("name", WRITERS)
def test_a_read_only_disk_is_one_sentence(disk, writing, refused, name):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    line = refused(*writing(name, disk / "o"))
    assert str(disk) in line and "Read-only file system" in line


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_sentence_and_leaves_no_half_file(disk, writing, capsys, name):
    if name != "generate":
        (disk / "filler").write_bytes(bytes(36_000))
    assert code_of(*writing(name, disk / "o")) == 2
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    line = err.strip().splitlines()[-1]
    assert str(disk) in line and "No space left on device; free some space" in line
    assert not [path for path in disk.rglob("*") if path.name.endswith((".npz", ".npy", ".png", "manifest.json"))]


@pytest.mark.slow
@pytest.mark.parametrize("size", ["60k", "250k", "420k", "650k"])
def test_generation_goes_on_once_there_is_space(disk, tiny_dataset, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)
    full = asked(*tiny_dataset.command(disk / "o", workers=2))
    assert full.returncode == 2 and "Traceback" not in full.stderr
    assert "No space left on device" in full.stderr.strip().splitlines()[-1]
    assert not (disk / "o/manifest.json").exists() or (disk / "o/manifest").is_dir()
    subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
    done = asked(*tiny_dataset.command(disk / "o", workers=2))
    assert done.returncode == 0, done.stderr
    assert told(done.stdout)["digest"] == tiny_dataset.told["digest"]


def test_two_runs_at_once_in_one_folder_are_refused(tiny_dataset, tmp_path, refused):
    import fcntl

    out = tiny_dataset.copied_to(tmp_path / "o")
    with (out / "ledger.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "folder is in use by another run, expected one run at a time" in refused(*tiny_dataset.command(out))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "{scene}", "--out", "{tmp}/o.gif"), "expected a file that ends in .png or .svg or .pdf"),
        (("show", "{scene}", "--out", "{tmp}/o.png", "--at", "99"), "--at is 99.0, expected 0 to 11.5 s"),
        (("show", "{scene}", "--out", "{tmp}/o.png", "--at", "nan"), "--at is nan"),
        (("show", "{tmp}/none", "--out", "{tmp}/o.png"), "none: file is missing"),
        (("show", "{dataset}", "--out", "{tmp}/o.png", "--token", "x"), "--token is 'x', expected one of its"),
        (("show", "{dataset}", "--out", "{tmp}/o.png", "--scenes", "{tmp}"), "without town-5-"),
        (("show", "{tmp}", "--out", "{tmp}/o.png"), "manifest.json: file is absent"),
        (("dataset", "verify", "{scene}"), "manifest.json: file is absent"),
        (("dataset", "info", "{tmp}/none"), "manifest.json: file is absent"),
        (("town", "--out", "{tmp}/o", "--seed", "-1"), "--seed is -1"),
        (("vocabulary", "build", "{tmp}", "--out", "{tmp}/v.npy", "--size", "0"), "--size is 0"),
        (("vocabulary", "build", "{tmp}", "--out", "{tmp}/v.npy", "--seed", "-1"), "--seed is -1"),
        (("vocabulary", "build", "{tmp}", "--out", "{tmp}/v.npy", "--size", "999"), "the number of different futures"),
    ],
)
def test_impossible_requests_are_refused(tmp_path, tiny_dataset, refused, arguments, words):
    scene = write_scene(scene_named("good"), tmp_path)
    places = {"tmp": tmp_path, "scene": scene, "dataset": tiny_dataset.folder}
    assert words in refused(*(argument.format(**places) for argument in arguments))


def test_an_installation_that_cannot_keep_compiled_code_says_what_to_do(capsys):
    def run() -> int:
        raise RuntimeError("cannot cache function 'f': no locator available for file 'f.py'")

    assert exit_code_of(Dataset(action="info", folder=Path("d")), run) == 2
    assert capsys.readouterr().err.endswith("set NUMBA_CACHE_DIR to one that can\n")


def test_a_refusal_is_the_same_in_a_process_of_its_own(tmp_path, tiny_vocabulary):
    damaged(tmp_path, array("ego.xy", with_nan))
    done = asked("generate", tmp_path, "--out", tmp_path / "o", "--vocabulary", tiny_vocabulary, "--json")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("simscale: ") and "ego.xy is not finite" in line
