"""Rendering ahead of time and on demand: one recipe, the same examples, whoever renders them and when."""

import dataclasses
import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from command import asked, begun
from rendered import SMALL, tiny_samples, tiny_town
from simscale.cli.commands import Render
from simscale.cli.render import run as run_render
from simscale.cli.rendering import render
from simscale.dataset.loading import read_examples
from simscale.dataset.on_demand import OnDemand
from simscale.dataset.rendered import FOLDERS
from simscale.dataset.sensors import SENSORS
from simscale.dataset.sources import logged_sources, sample_sources
from simscale.dataset.verify import faults_of
from simscale.render import navsim_rig
from simscale.render.rigs import chosen
from simscale.scene import BadInput
from simscale.scene.file import read_scene, scene_files, write_scene


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    tiny_samples(folder / "samples", tiny_town(folder / "town"))
    return folder


def contents(out: Path) -> dict[str, bytes]:
    return {f"{kind}/{path.name}": path.read_bytes() for kind in FOLDERS for path in (out / kind).iterdir()}


def rendered(sources, out: Path, workers: int = 1, **changes):
    return render(sources, out, renderer="raycast", sensors=dataclasses.replace(SMALL, **changes), workers=workers)


def test_ahead_of_time_and_on_demand_are_equal_up_to_jpeg(world, tmp_path):
    for name, sources in (
        ("logged", logged_sources([world / "town"])),
        ("samples", sample_sources(world / "samples")),
    ):
        report = rendered(sources, tmp_path / name, quality=100)
        ahead = read_examples(tmp_path / name, size=SMALL.size)
        demand = OnDemand(sources, renderer="raycast", sensors=SMALL)
        assert len(ahead) == len(demand) == report.examples > 5
        by_token = {example.token: example for example in (demand[i] for i in range(len(demand)))}
        assert tuple(sorted(by_token)) == ahead.token
        for i, token in enumerate(ahead.token):
            example = by_token[token]
            assert example.is_sim == ahead.is_sim[i] == (name == "samples")
            for field in ("status", "trajectory"):
                np.testing.assert_array_equal(getattr(ahead, field)[i], getattr(example, field))
            for field in ("agent_states", "agent_labels", "bev_semantic"):
                np.testing.assert_array_equal(getattr(ahead, field)[i], getattr(example.targets, field))
            off = ahead.rgb(np.array([i]))[0].astype(float) - example.rgb
            assert np.abs(off).mean() < 6.0  # in 16 rows of pixels JPEG halves the colour of every leaf
            assert example.rgb.std() > 10.0


def test_a_flipped_bit_is_found_and_never_read(world, tmp_path):
    rendered(sample_sources(world / "samples"), tmp_path / "out")
    assert list(faults_of(tmp_path / "out")) == []
    (shard,) = (tmp_path / "out/data").iterdir()
    content = bytearray(shard.read_bytes())
    content[700] ^= 1
    shard.write_bytes(content)
    (fault,) = faults_of(tmp_path / "out")
    assert "damaged" in fault
    with pytest.raises(BadInput, match="damaged"):
        read_examples(tmp_path / "out", size=SMALL.size)


def test_the_command_renders_a_dataset_and_says_what_it_did(world, tmp_path, capsys):
    command = Render(samples=(world / "samples",), out=tmp_path / "out", size=SMALL.size, workers=1, json=True)
    assert run_render(command) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["images"], told["examples"], told["streets"]) == (5, 8, ["town-1-240m"])
    with pytest.raises(BadInput, match="2 datasets"):
        run_render(dataclasses.replace(command, samples=(world, world)))


def test_two_experts_see_one_image(world, tmp_path):
    report = rendered(sample_sources(world / "samples"), tmp_path / "out")
    examples = read_examples(tmp_path / "out", size=SMALL.size)
    assert (report.images, report.by_expert) == (5, {"planner": 5, "recovery": 3})
    assert len(examples.images) == 5 and len(set(examples.image)) == 5


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(world, tmp_path, monkeypatch):
    monkeypatch.setattr("simscale.cli.rendering.ITEMS_A_UNIT", {"ltf": 3, "full": 3})
    sources = logged_sources([world / "town"])
    calm = rendered(sources, tmp_path / "calm")

    def stop(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(sources, tmp_path / "wild", renderer="raycast", sensors=SMALL, on_done=stop)
    report = rendered(sources, tmp_path / "wild")
    assert report.resumed == 2 and report.digest == calm.digest
    assert contents(tmp_path / "wild") == contents(tmp_path / "calm")


def test_the_digest_does_not_depend_on_the_units(world, tmp_path, monkeypatch):
    sources = sample_sources(world / "samples")
    whole = rendered(sources, tmp_path / "whole").digest
    monkeypatch.setattr("simscale.cli.rendering.ITEMS_A_UNIT", {"ltf": 2, "full": 2})
    assert rendered(sources, tmp_path / "pieces").digest == whole


@pytest.mark.slow
def test_two_workers_leave_the_bytes_of_one(world, tmp_path):
    sources = logged_sources([world / "town"])
    rendered(sources, tmp_path / "one")
    rendered(sources, tmp_path / "two", workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.slow
def test_killed_it_ends_with_the_same_bytes(world, tmp_path):
    command = ("render", world / "town", "--logged", "--size", *SMALL.size, "--workers", 1, "--out")
    assert asked(*command, tmp_path / "calm").returncode == 0
    wild, kills = tmp_path / "wild", 0
    for reached in (lambda: (wild / "ledger.sqlite").exists(), lambda: any((wild / "data").glob("*.tar"))):
        process = begun(*command, wild)
        while not reached() and process.poll() is None:
            time.sleep(0.005)
        kills += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    assert kills and asked(*command, wild).returncode == 0
    assert contents(wild) == contents(tmp_path / "calm")


def test_all_cameras_of_the_rig(world, tmp_path):
    sensors = dataclasses.replace(SENSORS["full"], size=(18, 32))
    report = render(sample_sources(world / "samples"), tmp_path / "out", renderer="raycast", sensors=sensors)
    assert report.images == 5 * 8
    with pytest.raises(BadInput, match=r"single cameras \(profile full\), expected a planner's view"):
        read_examples(tmp_path / "out", size=(18, 32))


def test_what_cannot_be_rendered_is_said_before_any_work(world, tmp_path):
    (path,) = scene_files(world / "town")
    scene = read_scene(path)
    bare = tmp_path / "bare"
    bare.mkdir()
    write_scene(scene, bare)
    with pytest.raises(BadInput, match=r"scenery of .* is absent"):
        rendered(logged_sources([bare]), tmp_path / "a")
    with pytest.raises(BadInput, match="16 x 64 pixels, expected 64 x 256"):
        rendered(sample_sources(world / "samples"), tmp_path / "b")
        read_examples(tmp_path / "b", size=(64, 256))


def test_a_sample_whose_scene_is_gone_or_another_is_refused(world, tmp_path):
    town = shutil.copytree(world / "town", tmp_path / "town")
    dataset = tiny_samples(tmp_path / "samples", town)
    (path,) = scene_files(town)
    scene = read_scene(path)
    path.unlink()
    with pytest.raises(BadInput, match=r"scene town-1-0 of sample town-1-0-t0020-000 is gone"):
        sample_sources(dataset)
    assert sample_sources(dataset, [world / "town"])  # it has moved
    write_scene(dataclasses.replace(scene, ego_z=scene.ego_z + 1.0), town)
    with pytest.raises(BadInput, match="not what the samples were made from"):
        sample_sources(dataset)


def test_a_rig_that_lacks_a_camera_is_refused(world, tmp_path):
    town = shutil.copytree(world / "town", tmp_path / "town")
    (path,) = scene_files(town)
    scene = read_scene(path)
    write_scene(dataclasses.replace(scene, cameras=chosen(navsim_rig(), "CAM_F0", "CAM_L0")), town)
    with pytest.raises(BadInput, match="CAM_F0, CAM_L0 without CAM_R0"):
        rendered(logged_sources([town]), tmp_path / "out")
