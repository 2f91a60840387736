"""A checkpoint as each of the four origins publishes it: converted, it says what the reference says; back, it is the
same file."""

import json

import numpy as np
import pytest
import torch

from command import code_of
from simscale.evaluate.golden_inside import SEEN
from simscale.evaluate.golden_networks import ABSOLUTE, CASES, RELATIVE
from simscale.evaluate.golden_recipe import arcs, camera, lidar, status, weight
from simscale.planners import read_checkpoint
from simscale.planners.checkpoint import read_info

ORIGINS = {
    "ltf_simscale": ("--resolution", "512", "2048"),
    "ltf_navsim_256": ("--resolution", "256", "1024"),
    "transfuser_navsim_lidar": (),
    "diffusiondrive_simscale": ("--resolution", "512", "2048"),
    "diffusiondrive_hustvl": (),
    "gtrs_resnet34_simscale": (),
    "gtrs_vov_nvlabs": ("--preset", "nvlabs_v99"),
}
"""SimScale, NAVSIM, DiffusionDrive and GTRS; and what has to be said beside the file."""


def published(golden, case: str, path) -> dict[str, torch.Tensor]:
    """Writes what Lightning would: the manifest's weights under its prefix."""
    manifest = golden.read(f"{case}.manifest.json")
    state = {}
    for row in manifest["state_dict"]:
        key, shape = row["key"], tuple(row["shape"])
        if key.endswith(".vocab"):
            value = arcs(f"gtrs-vocab-{shape[0]}", shape[0], 40, 0.1)
        elif key.endswith("plan_anchor"):
            value = arcs("dd-anchors", 20, 8, 0.5)[..., :2]
        else:
            value = weight(key, shape, row["dtype"], salt=golden.salt)
        state[manifest["lightning_prefix"] + key] = torch.from_numpy(value.copy())
    torch.save({"epoch": 99, "global_step": 5, "state_dict": state, "loops": {}, "lr_schedulers": []}, path)
    return state


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("case", ORIGINS)
def test_a_published_checkpoint_converts_to_the_golden_output_and_back(golden, tmp_path, case):
    file, ours, back = tmp_path / "published.ckpt", tmp_path / "ours.safetensors", tmp_path / "back.ckpt"
    state = published(golden, case, file)
    assert code_of("checkpoint", "convert", file, "--out", ours, *ORIGINS[case]) == 0
    info = read_info(ours)
    assert (info.planner, info.preset) == CASES[case]
    assert code_of("checkpoint", "convert", ours, "--out", back) == 0
    again = torch.load(back, weights_only=True)["state_dict"]
    assert list(again) == list(state) and all(torch.equal(again[name], state[name]) for name in state)

    model, _ = read_checkpoint(ours)
    expected = golden.numbers(case)
    count, name, trunk = len(expected["status_feature"]), golden.prefix + case, info.config.trunk
    inputs = [camera(name, count, *trunk.image_size), status(name, count)]
    inputs += [] if trunk.latent else [lidar(name, count)]
    with torch.inference_mode():
        found = SEEN[info.planner](model, tuple(map(torch.from_numpy, inputs)), expected)
    for key in ("trajectory", "agent_states", "scores"):
        if key in expected:
            np.testing.assert_allclose(found[key], expected[key], rtol=RELATIVE, atol=ABSOLUTE, err_msg=key)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("case", ["gtrs_resnet34_simscale"])
def test_a_vocabulary_of_any_size_is_taken_as_it_is_and_one_of_another_form_refused(golden, tmp_path, case, capsys):
    file, ours = tmp_path / "published.ckpt", tmp_path / "ours.safetensors"
    state = published(golden, case, file)
    name = "agent.model._trajectory_head.vocab"
    torch.save({"state_dict": {**state, name: state[name][:100].clone()}}, file)
    assert code_of("checkpoint", "convert", file, "--out", ours) == 0
    assert read_info(ours).config.vocabulary == 100
    torch.save({"state_dict": {**state, name: state[name][:, :8].clone()}}, file)
    assert code_of("checkpoint", "convert", file, "--out", ours) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "_trajectory_head.vocab is of shape (256, 8, 3), expected (256, 40, 3)" in told


@pytest.mark.shared
def test_the_published_vocabularies_digest_is_that_of_its_file(shared):
    from simscale.cli.checkpoint import VOCABULARIES
    from simscale.planners.checkpoint import vocabulary_digest

    poses = np.load(shared / "navsim/trajectory_vocabulary_8192.npy")
    assert VOCABULARIES[vocabulary_digest(torch.from_numpy(poses))].startswith("8192.npy")
    assert json.dumps(VOCABULARIES)
