"""What the demo does, as commands: the renderer of the simulated images changes them and nothing else."""

from dataclasses import replace

import pytest

from simscale.cli.demo import made_up, trust_lines
from simscale.cli.experiment import STREETS, steps_of
from simscale.cli.main import parsed
from simscale.recipes import DEMOS, StreetRecipe, demo, demo_splats


def steps(experiment, out):
    return {step.name: step for step in steps_of(experiment, out, cores=2)}


def test_splats_record_reconstruct_and_draw_simulated_states_alone(tmp_path):
    plain, splats = (replace(demo(), towns=(3, 5), drives=2, streets=streets) for streets in (None, StreetRecipe()))
    before, after = steps(plain, tmp_path), steps(splats, tmp_path)
    new = {name for name in after if name not in before}
    assert new == {f"reconstruct-town-{town}-{drive}" for town in (3, 5) for drive in (0, 1)}
    changed = {name for name, step in before.items() if after[name] != step}
    assert changed == {"town-3", "town-5", "render-simulated"}
    for town in ("town-3", "town-5"):
        assert after[town].arguments == (*before[town].arguments, "--record")
    drawn = after["render-simulated"]
    assert set(drawn.needs) == {"generate", *new} and str(tmp_path / STREETS) in drawn.arguments
    assert "--renderer" not in " ".join(after["render-real"].arguments)


def test_each_step_is_a_command_that_is_understood(tmp_path):
    for name in DEMOS:
        for step in steps_of(DEMOS[name](), tmp_path, cores=2):
            parsed(step.arguments)
            command = parsed(("demo", "--out", str(tmp_path), "--renderer", name))
            assert command.renderer == name


def test_trust_is_told_where_splats_drew():
    assert made_up(demo(), {}) == {} and trust_lines({}) == []
    trust = {
        "images": 3,
        "view_distance": 1.0,
        "view_distance_most": 2.0,
        "coverage": 0.9,
        "filled": 0.1,
        "left_out": 4,
    }
    found = {"heldout": {"psnr": 25.0, "ssim": 0.8}, "gaussians": 10, "seconds": 1.0, "more": 0}
    answer = made_up(
        demo_splats(), {"reconstruct-town-1-0": found, "render-simulated": {"trust": trust}, "generate": {}}
    )
    assert set(answer["streets"]) == {"town-1-0"} and answer["trust"] == trust
    quality, said = trust_lines(answer)
    assert "25.0" in quality and "2.00 m at most" in said and "4 agents left out" in said


def test_another_renderer_is_refused(tmp_path):
    with pytest.raises(SystemExit):
        parsed(("demo", "--out", str(tmp_path), "--renderer", "oil"))
