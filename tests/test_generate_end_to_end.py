"""Scenes in, a dataset out: the same bytes whoever works on it and whatever interrupts it, and no answer at fault."""

import dataclasses
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command import asked, begun, code_of, told
from generate.twin import faults, touches
from simscale.dataset.shards import read_samples
from simscale.generate.sample import Sample
from simscale.scene import Lights, LightState, Scene
from simscale.scene.file import read_scene, scene_files
from tiny import TinyDataset, compared_files
from worlds import changed

RATES = {"attempted_per_second"}
"""The one number that time decides."""


def without_rates(numbers: dict) -> dict:
    return {key: value for key, value in numbers.items() if key not in RATES}


def test_the_numbers_add_up(tiny_dataset):
    numbers = tiny_dataset.told
    assert set(numbers["logs"]) == {"town-5-0", "town-5-1"} and numbers["tokens"] == 14
    perturb = numbers["perturb"]
    assert perturb["rounds"] + perturb["no_cell_left"] == 14 and perturb["passed"] > 0
    assert perturb["tries"] == perturb["passed"] + sum(perturb["rejected"].values())
    for name in ("rounds", "first_draw_passed", "tries", "passed", "no_cell_left"):
        assert perturb[name] == sum(log["perturb"][name] for log in numbers["logs"].values())
    for expert in numbers["experts"].values():
        refused = sum(count for reasons in expert["rejected"].values() for count in reasons.values())
        assert expert["accepted"] + refused == expert["attempted"] == perturb["rounds"]
    assert {"digest", "attempted_per_second", "version", "seed"} <= set(numbers)
    assert numbers["failures"] == [] and numbers["too_short"] == {} and numbers["without_map"] == []


@pytest.mark.slow
def test_two_workers_and_another_order_leave_the_same_bytes(tiny_dataset, tmp_path):
    apart = []
    for path in reversed(scene_files(tiny_dataset.scenes)):
        apart.append(tmp_path / path.name.split(".")[0])
        apart[-1].mkdir()
        shutil.copy(path, apart[-1] / "renamed.scene.npz")  # an id is in the file, not in its name
    done = asked(*tiny_dataset.command(tmp_path / "o", scenes=tuple(apart), workers=2))
    assert done.returncode == 0, done.stderr
    assert told(done.stdout)["digest"] == tiny_dataset.told["digest"]
    assert without_rates(told(done.stdout)) == without_rates(tiny_dataset.told)
    assert compared_files(tmp_path / "o") == compared_files(tiny_dataset.folder)


def test_another_seed_puts_the_ego_elsewhere(tiny_dataset, tmp_path, capsys):
    one = scene_files(tiny_dataset.scenes)[0]
    assert code_of(*tiny_dataset.command(tmp_path / "o", "--seed", 1, scenes=(one,))) == 0
    assert told(capsys.readouterr().out)["seed"] == 1
    here = {(s.token, s.candidate) for s in read_samples(tiny_dataset.folder) if s.log == "town-5-0"}
    there = {(s.token, s.candidate) for s in read_samples(tmp_path / "o")}
    assert len(here - there) > len(here) / 2


def wait_until(happened: Callable[[], object], process, *, seconds: float = 120.0) -> None:
    began = time.monotonic()
    while not happened() and process.poll() is None:
        assert time.monotonic() - began < seconds
        time.sleep(0.005)


def files_in(folder: Path) -> int:
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def end(process, kill: int, *, group: bool) -> tuple[int, str]:
    """Sends a signal to a command, or to it and its workers, and gives its exit code and last words."""
    if group:
        os.killpg(process.pid, kill)
    else:
        process.send_signal(kill)
    _, err = process.communicate(timeout=60)
    return process.returncode, err.strip().splitlines()[-1] if err.strip() else ""


@pytest.mark.slow
def test_killed_and_interrupted_it_ends_the_same(tiny_dataset, tmp_path):
    out = tmp_path / "o"
    process = begun(*tiny_dataset.command(out))
    wait_until(lambda: files_in(out / "data") >= 1, process)
    assert end(process, signal.SIGKILL, group=True)[0] == -signal.SIGKILL
    assert not (out / "manifest.json").exists()

    process = begun(*tiny_dataset.command(out))
    wait_until(lambda: files_in(out / "data") >= 3, process)
    code, words = end(process, signal.SIGINT, group=True)
    assert (code, words) == (130, "interrupted; the same command goes on where it stopped")
    assert not (out / "manifest.json").exists()

    finish(tiny_dataset, out)


def finish(tiny: TinyDataset, out: Path, *, workers: int = 1) -> None:
    """The same command again ends well and leaves what an undisturbed run leaves."""
    done = asked(*tiny.command(out, workers=workers))
    assert done.returncode == 0, done.stderr
    assert without_rates(told(done.stdout)) == without_rates(tiny.told)
    assert compared_files(out) == compared_files(tiny.folder)
    assert files_in(out / "tmp") == 0
    assert asked("dataset", "verify", out).returncode == 0


MOMENTS = {
    "ledger": lambda out: (out / "ledger.sqlite").exists(),
    "unfinished": lambda out: files_in(out / "tmp") >= 1,
    "in place": lambda out: files_in(out / "rejections") >= 1,
    "half": lambda out: files_in(out / "data") >= 2,
    "all units": lambda out: files_in(out / "data") >= 4,
    "manifest": lambda out: files_in(out / "manifest") >= 1,
    "complete": lambda out: (out / "manifest.json").exists(),
    "pictures": lambda out: (out / "funnel.png").exists(),
}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment_it_ends_the_same(tiny_dataset, tmp_path, workers):
    out = tmp_path / "o"
    for alone, reached in zip([False, True] * 4, MOMENTS.values(), strict=True):
        process = begun(*tiny_dataset.command(out, workers=workers))
        wait_until(lambda: reached(out), process)  # noqa: B023
        end(process, signal.SIGKILL, group=not alone)  # workers follow a coordinator that dies alone
    finish(tiny_dataset, out, workers=workers)


@pytest.mark.slow
def test_interrupted_at_any_moment_it_says_so(tiny_dataset, tmp_path):
    out = tmp_path / "o"
    for moment, reached in MOMENTS.items():
        begun_at = time.monotonic()
        process = begun(*tiny_dataset.command(out, workers=2))
        wait_until(lambda: reached(out) and time.monotonic() - begun_at > 1.0, process)  # noqa: B023
        code, words = end(process, signal.SIGINT, group=True)
        assert (code, words) == (130, "interrupted; the same command goes on where it stopped"), moment
    finish(tiny_dataset, out, workers=2)


def test_files_that_vanished_are_made_again(tiny_dataset, tmp_path, capsys):
    out = tiny_dataset.copied_to(tmp_path / "o")
    next((out / "data").iterdir()).unlink()
    next((out / "index").iterdir()).write_bytes(b"PAR1")
    assert code_of(*tiny_dataset.command(out)) == 0
    assert without_rates(told(capsys.readouterr().out)) == without_rates(tiny_dataset.told)
    assert compared_files(out) == compared_files(tiny_dataset.folder)


@pytest.mark.parametrize("kind", ["data", "index", "scenes", "rejections", "manifest"])
def test_a_flipped_bit_is_found(tiny_dataset, tmp_path, capsys, kind):
    out = tiny_dataset.copied_to(tmp_path / "o")
    path = next((out / kind).iterdir())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert code_of("dataset", "verify", out) in (1, 2)
    out, err = capsys.readouterr()
    assert path.name in err and "Traceback" not in err


def scene_of(samples: list[Sample], scenes: Path) -> dict[str, Scene]:
    read = {scene.id: scene for scene in map(read_scene, scene_files(scenes))}
    return {sample.log: read[sample.log] for sample in samples}


def test_shapely_finds_no_fault_in_accepted_samples(tiny_dataset):
    samples = list(read_samples(tiny_dataset.folder))
    scenes = scene_of(samples, tiny_dataset.scenes)
    assert len(samples) >= 10
    assert [words for sample in samples for words in touches(sample, scenes[sample.log])] == []
    assert [words for sample in samples for words in faults(sample, scenes[sample.log])] == []


def moved(sample: Sample, by: np.ndarray) -> Sample:
    """The sample with every drive of its ego moved."""
    experts = [dataclasses.replace(e, ego=dataclasses.replace(e.ego, xy=e.ego.xy + by)) for e in sample.experts]
    return dataclasses.replace(
        sample, ego=dataclasses.replace(sample.ego, xy=sample.ego.xy + by), experts=tuple(experts)
    )


def first_accepted(tiny: TinyDataset) -> tuple[Sample, Scene]:
    """A sample whose first expert is accepted and drives, with its scene."""
    samples = list(read_samples(tiny.folder))
    scenes = scene_of(samples, tiny.scenes)
    sample = next(s for s in samples if s.experts[0].accepted and s.experts[0].ego.speed.min() > 2.0)
    return sample, scenes[sample.log]


def test_shapely_would_find_a_contact_and_a_collision(tiny_dataset):
    sample, scene = first_accepted(tiny_dataset)
    other = int(np.flatnonzero(scene.tracks.valid[:, sample.t0 : sample.t0 + 81].all(axis=1))[0])
    onto = moved(sample, scene.tracks.xy[other, sample.t0] - sample.ego.xy[0])
    assert any(f"touches {scene.tracks.id[other]} at 0" in words for words in touches(onto, scene))
    into = moved(sample, scene.tracks.xy[other, sample.t0 + 60] - sample.experts[0].ego.xy[20])
    assert any(f"hits {scene.tracks.id[other]}" in words for words in faults(into, scene))


def test_shapely_would_find_other_faults(tiny_dataset):
    sample, scene = first_accepted(tiny_dataset)
    assert any("leaves the road at 0" in words for words in faults(moved(sample, np.array([5000.0, 0.0])), scene))
    astray = changed(scene, route=scene.route[:0])
    here = [s for s in read_samples(tiny_dataset.folder) if s.log == sample.log]  # some drive outside the intersections
    assert any("against traffic" in words for s in here for words in faults(s, astray))
    red = np.full((len(scene.route), len(scene)), int(LightState.RED))
    stopped = changed(scene, lights=Lights(element=scene.route, state=red))
    assert any("runs the light" in words for words in faults(sample, stopped))


@pytest.mark.shared
@pytest.mark.slow
def test_shapely_finds_no_fault_in_real_logs(shared, tmp_path, capsys):
    logs = tmp_path / "logs"
    for kind, source in (("argoverse2", "argoverse2/sensor_logs"), ("scenarionet", "nuscenes_mini_scenarionet")):
        assert code_of("ingest", kind, shared / "data" / source, "--out", logs) == 0
    vocabulary = shared / "navsim/trajectory_vocabulary_8192.npy"
    asked_for = ("--rounds", 1, "--workers", 2, "--vocabulary", vocabulary, "--json")
    done = asked("generate", logs, "--out", tmp_path / "o", *asked_for)
    assert done.returncode == 0, done.stderr
    assert len(told(done.stdout)["logs"]) >= 9
    samples = list(read_samples(tmp_path / "o"))[::8]
    scenes = scene_of(samples, logs)
    assert len(samples) >= 10
    found = [
        words
        for sample in samples
        for words in touches(sample, scenes[sample.log]) + faults(sample, scenes[sample.log])
    ]
    assert found == []


@pytest.mark.parametrize("more", [(), ("--rejected",), ("--token", "town-5-0-t0020-000")])
def test_a_dataset_is_shown(tiny_dataset, tmp_path, capsys, more):
    assert code_of("show", tiny_dataset.folder, "--out", tmp_path / "picture.png", *more) == 0
    assert_is_a_picture(tmp_path / "picture.png")


def test_a_scene_is_shown(tiny_dataset, tmp_path, capsys):
    scene = scene_files(tiny_dataset.scenes)[0]
    assert code_of("show", scene, "--out", tmp_path / "deep/scene.png", "--at", "3.0") == 0
    assert_is_a_picture(tmp_path / "deep/scene.png")


def test_the_report_has_its_pictures_beside_it(tiny_dataset):
    for name in ("funnel", "accepted", "rejected"):
        assert_is_a_picture(tiny_dataset.folder / f"{name}.png", least_colours=5)
    report = (tiny_dataset.folder / "report.html").read_text()
    assert tiny_dataset.told["digest"] in report and "http://" not in report and "https://" not in report


def assert_is_a_picture(path: Path, *, least_colours: int = 20) -> None:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB").resize((300, 300))).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) >= least_colours
