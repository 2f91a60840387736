"""Splats and ray caster are interchangeable by name; what splats make up is told beside each example."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from command import code_of
from rendered import SMALL, tiny_samples, tiny_town
from simscale.cli.rendering import render
from simscale.dataset.loading import read_examples
from simscale.dataset.on_demand import OnDemand
from simscale.dataset.rendered import SCHEMA, TRUST_SCHEMA, read_rows
from simscale.dataset.renderers import RENDERERS, asset_of
from simscale.dataset.sources import logged_sources, sample_sources
from simscale.dataset.verify import faults_of
from simscale.render import Renderer, Trust, joined_trust
from simscale.scene import BadInput
from simscale.scene.file import read_scene, scene_files, write_scene
from simscale.splats.files_asset import DESCRIPTION
from simscale.splats.street_file import write_street
from splats.streets import small_street

TRUST = ("view_distance", "view_angle", "coverage", "filled", "left_out")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A town, samples of it, and an asset that claims to be its street."""
    folder = tmp_path_factory.mktemp("world")
    tiny_samples(folder / "samples", tiny_town(folder / "town"))
    write_street(small_street("town-1-0"), folder / "assets" / "any name", made={})
    write_street(small_street("town-9-9"), folder / "assets" / "another", made={})
    return folder


def rendered(world: Path, out: Path, renderer: str, **more):
    assets = world / "assets" if renderer == "splats" else None
    return render(
        sample_sources(world / "samples"), out, renderer=renderer, sensors=SMALL, **({"assets": assets} | more)
    )


def test_by_name_either_draws_the_same_samples(world, tmp_path):
    reports = {name: rendered(world, tmp_path / name, name) for name in RENDERERS}
    cast, splat = (read_examples(tmp_path / name, size=SMALL.size) for name in ("raycast", "splats"))
    assert cast.token == splat.token and reports["raycast"].by_expert == reports["splats"].by_expert
    for field in ("status", "trajectory", "agent_states", "bev_semantic", "image"):
        np.testing.assert_array_equal(getattr(cast, field), getattr(splat, field))
    assert (cast.images != splat.images).any()
    assert list(faults_of(tmp_path / "splats")) == []


def test_trust_is_stored_beside_examples_of_splats_alone(world, tmp_path):
    for name in RENDERERS:
        rendered(world, tmp_path / name, name)
    assert read_rows(tmp_path / "raycast").column_names == SCHEMA.names  # as ever
    table = read_rows(tmp_path / "splats")
    assert table.column_names == TRUST_SCHEMA.names == [*SCHEMA.names, *TRUST]
    by_image = {row["image"]: [row[name] for name in TRUST] for row in table.to_pylist()}
    assert len(by_image) == 5 and len({tuple(row) for row in by_image.values()}) > 1
    report = rendered(world, tmp_path / "splats", "splats")
    assert report.resumed and report.as_json()["trust"]["images"] == 5
    distance = np.mean([row[0] for row in by_image.values()])
    assert report.trust["view_distance"] == pytest.approx(distance, abs=1e-3)
    assert "trust" not in rendered(world, tmp_path / "raycast", "raycast").as_json()


def test_the_same_bytes_from_any_number_of_workers_and_on_demand(world, tmp_path):
    first, again = (rendered(world, tmp_path / name, "splats", workers=1) for name in ("a", "b"))
    assert first.digest == again.digest
    demand = OnDemand(sample_sources(world / "samples"), renderer="splats", sensors=SMALL, assets=world / "assets")
    ahead = read_examples(tmp_path / "a", size=SMALL.size)
    by_token = {example.token: example for example in (demand[i] for i in range(len(demand)))}
    for i, token in enumerate(ahead.token):
        off = ahead.rgb(np.array([i]))[0].astype(float) - by_token[token].rgb
        assert np.abs(off).mean() < 6.0


def test_an_asset_may_be_named_itself(world):
    (path,) = scene_files(world / "town")
    scene, asset = read_scene(path), world / "assets" / "any name"
    assert asset_of("splats", scene, path.parent, asset) == asset_of("splats", scene, path.parent, world / "assets")
    assert isinstance(RENDERERS["splats"](scene, path.parent, rays=1, assets=asset), Renderer)


def test_what_is_no_asset_of_the_log_is_refused_before_any_work(world, tmp_path):
    (path,) = scene_files(world / "town")
    write_scene(dataclasses.replace(read_scene(path), id="elsewhere"), tmp_path)
    with pytest.raises(BadInput, match=r"assets is of other streets \(town-1-0, town-9-9\), expected .* elsewhere"):
        render(
            logged_sources([tmp_path]),
            tmp_path / "out",
            renderer="splats",
            sensors=SMALL,
            assets=world / "assets",
        )
    with pytest.raises(BadInput, match="assets is none"):
        rendered(world, tmp_path / "out", "splats", assets=tmp_path)
    with pytest.raises(BadInput, match="assets is not named"):
        rendered(world, tmp_path / "out", "splats", assets=None)
    assert not (tmp_path / "out" / "data").exists()


@pytest.mark.parametrize("damage", ["tensors", "description", "empty"])
def test_a_damaged_asset_is_refused(world, tmp_path, damage):
    folder = tmp_path / "asset"
    write_street(small_street("town-1-0"), folder, made={})
    if damage == "tensors":
        (file,) = folder.glob("*.safetensors")
        content = bytearray(file.read_bytes())
        content[-5] ^= 1
        file.write_bytes(content)
    else:
        text = (
            {"kind": "street"}
            if damage == "empty"
            else {**json.loads((folder / DESCRIPTION).read_bytes()), "version": 9}
        )
        (folder / DESCRIPTION).write_text(json.dumps(text))
    with pytest.raises(BadInput):
        rendered(world, tmp_path / "out", "splats", assets=folder)


def test_the_command_says_what_it_wants_in_one_sentence(world, tmp_path, capsys):
    command = ("render", world / "samples", "--out", tmp_path / "out", "--size", *SMALL.size, "--workers", 1)
    for more, expected in (
        (("--renderer", "splats"), "--assets is absent"),
        (("--assets", world / "assets"), "with the renderer raycast"),
        (("--renderer", "splats", "--assets", tmp_path / "nowhere"), "assets is none"),
    ):
        assert code_of(*command, *more) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("simscale: ") and expected in line
    assert code_of(*command, "--renderer", "splats", "--assets", world / "assets") == 0
    assert "image trust: views" in capsys.readouterr().err


def test_trust_of_images_side_by_side():
    near = Trust(view_distance=1.0, view_angle=0.1, coverage=1.0, filled=0.0, left_out=1)
    far = Trust(view_distance=2.0, view_angle=0.0, coverage=0.5, filled=0.3, left_out=2)
    both = joined_trust([near, far], [100, 300])
    assert dataclasses.replace(both, filled=0.0) == Trust(
        view_distance=2.0, view_angle=0.1, coverage=0.625, filled=0.0, left_out=3
    )
    assert both.filled == pytest.approx(0.225)
