"""The proof that planners are the reference's, on the founders' goldens and on damaged copies of them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from command import code_of, told
from simscale.evaluate.golden_networks import CASES, is_known
from simscale.planners import PLANNERS

pytestmark = pytest.mark.shared

SMALL = ("builders.npz", "builders_navsim.npz", "builders_map.json", "losses.npz", "misc.npz", "lr_schedules.json")
LIGHT = "ltf_navsim_256"


def copied(shared: Path, folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in (*names, "recipe.json"):
        shutil.copyfile(shared / "golden/planners" / name, folder / name)
    return folder


def numbers(capsys, folder: Path) -> tuple[int, dict]:
    capsys.readouterr()
    code = code_of("check", "planners", folder, "--json", "--debug")
    return code, told(capsys.readouterr().out)


def changed(path: Path, **arrays) -> None:
    with np.load(path) as file:
        held = dict(file)
    np.savez(path, **{**held, **arrays})


def test_features_targets_losses_pieces_and_rates_agree(shared, tmp_path, capsys):
    code, answer = numbers(capsys, copied(shared, tmp_path / "golden", *SMALL))
    assert code == 0 and answer["faults"] == [] and answer["missing"] == []
    quantities = {name: one for name, one in answer.items() if isinstance(one, dict)}
    assert all(one["within"] == one["compared"] > 0 for one in quantities.values())
    for name in (
        "builders camera_strided",
        "builders_navsim lidar_hist_x5",
        "builders bev_semantic_target",
        "losses ltf_total_latent0",
        "losses dd_total_loss",
        "losses gtrs_total_imi_masked",
        "misc kmeans_centers",
        "lr_schedules rate_gtrs",
    ):
        assert name in quantities, name


def test_one_number_that_differs_is_found_and_named(shared, tmp_path, capsys):
    folder = copied(shared, tmp_path / "golden", "losses.npz", "lr_schedules.json")
    changed(folder / "losses.npz", dd_total_loss=np.float32(277.0))
    rates = json.loads((folder / "lr_schedules.json").read_text())
    rates["gtrs"][7][0] *= 1.001
    (folder / "lr_schedules.json").write_text(json.dumps(rates))
    code, answer = numbers(capsys, folder)
    assert code == 1 and len(answer["faults"]) == 2
    assert any("dd_total_loss" in fault and "277" in fault for fault in answer["faults"])
    assert any("rate_gtrs[7, 0]" in fault for fault in answer["faults"])
    assert code_of("check", "planners", folder) == 1
    out = capsys.readouterr().out
    assert "differs: losses: dd_total_loss" in out and out.splitlines()[-1].startswith("total")


def test_what_we_have_no_counterpart_of_is_not_passed_over(shared, tmp_path, capsys):
    folder = copied(shared, tmp_path / "golden", "misc.npz", "lr_schedules.json")
    np.savez(folder / "bus_simscale.npz", trajectory=np.zeros((1, 8, 3)))
    rates = json.loads((folder / "lr_schedules.json").read_text())
    (folder / "lr_schedules.json").write_text(json.dumps({**rates, "bus": rates["gtrs"]}))
    code, answer = numbers(capsys, folder)
    assert code == 1 and answer["missing"] == ["bus_simscale"]
    assert any("rate_bus" in fault for fault in answer["faults"])
    assert "missing" in (code_of("check", "planners", folder), capsys.readouterr().out)[1]


def test_all_nine_cases_have_a_planner():
    assert len(CASES) == 9 and all(is_known(case) for case in CASES)
    assert {planner for planner, _ in CASES.values()} == set(PLANNERS)


def test_the_salt_and_the_prefix_come_from_the_recipe(shared, tmp_path, capsys):
    folder = copied(shared, tmp_path / "golden", "builders.npz", "builders_map.json")
    said = json.loads((folder / "recipe.json").read_text())
    (folder / "recipe.json").write_text(json.dumps({**said, "input_prefix": "other-"}))
    code, answer = numbers(capsys, folder)
    assert code == 1
    assert answer["builders camera_strided"]["within"] < answer["builders camera_strided"]["compared"]
    assert answer["builders agent_states"]["within"] == answer["builders agent_states"]["compared"]


def test_damaged_folders_are_refused_in_one_sentence(shared, tmp_path, capsys):
    def sentence(folder: Path) -> str:
        capsys.readouterr()
        assert code_of("check", "planners", folder) == 2
        err = capsys.readouterr().err.strip().splitlines()
        assert "fault of ours" not in err[-1]
        return err[-1]

    (tmp_path / "empty").mkdir()
    assert "golden numbers is none" in sentence(tmp_path / "empty")
    folder = copied(shared, tmp_path / "golden", "misc.npz")
    (folder / "recipe.json").write_text("{}")
    assert "recipe.json: recipe" in sentence(folder)
    (folder / "recipe.json").unlink()
    assert "recipe is absent" in sentence(folder)
    folder = copied(shared, folder, "misc.npz")
    (folder / "misc.npz").write_bytes((folder / "misc.npz").read_bytes()[:1000])
    assert "misc.npz: file is unreadable" in sentence(folder)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_each_planner_says_what_the_reference_says_with_its_manifest_and_without(shared, tmp_path, capsys, case):
    folder = copied(shared, tmp_path / "golden", f"{case}.npz", f"{case}.manifest.json")
    code, answer = numbers(capsys, folder)
    assert code == 0 and answer["faults"] == []
    assert answer[f"{case} manifest_keys"]["compared"] > 600
    assert answer[f"{case} trajectory"]["compared"] >= 48


@pytest.mark.slow
def test_another_salt_a_change_in_the_manifest_and_one_in_the_inside_are_found(shared, tmp_path, capsys):
    folder = copied(shared, tmp_path / "golden", f"{LIGHT}.npz", f"{LIGHT}.manifest.json")
    manifest = json.loads((folder / f"{LIGHT}.manifest.json").read_text())
    manifest["state_dict"][3]["shape"] = [1, 2]
    manifest["state_dict"][5]["key"] += "x"
    (folder / f"{LIGHT}.manifest.json").write_text(json.dumps(manifest))
    with np.load(folder / f"{LIGHT}.npz") as file:
        fused = file["backbone_fused"]
    fused[1, 3, 2, 1] += 0.01
    changed(folder / f"{LIGHT}.npz", backbone_fused=fused, riddle=np.ones(3))
    code, answer = numbers(capsys, folder)
    found = {fault.split()[1].split("[")[0] for fault in answer["faults"]}
    assert code == 1 and found == {"manifest_keys", "manifest_shapes", "backbone_fused", "riddle"}
    (folder / f"{LIGHT}.manifest.json").unlink()
    said = json.loads((folder / "recipe.json").read_text())
    (folder / "recipe.json").write_text(json.dumps({**said, "weight_salt": "other"}))
    code, answer = numbers(capsys, folder)
    assert code == 1 and f"{LIGHT} manifest_keys" not in answer
    assert answer[f"{LIGHT} trajectory"]["within"] < answer[f"{LIGHT} trajectory"]["compared"]
