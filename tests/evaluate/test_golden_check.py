"""The product's own proof, on the founders' goldens and on damaged copies of them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from command import code_of, told
from evaluate.goldens import RAW, changed, copied, source, stripped
from simscale.evaluate import golden_check
from simscale.evaluate.golden_check import checked, golden_files, verdict_of

pytestmark = pytest.mark.shared

TIED = "scene_004"
"""Its reactive vehicles meet ties."""


def numbers(capsys, *arguments: object) -> tuple[int, dict]:
    code = code_of("check", "scoring", *arguments, "--json", "--debug")
    return code, told(capsys.readouterr().out)


def all_agree(answer: dict) -> bool:
    quantities = [one for one in answer.values() if isinstance(one, dict)]
    return all(one["equal"] == one["compared"] for one in quantities) and not answer["faults"]


def test_raw_content_alone_gives_every_score(tmp_path, shared, capsys):
    folder = copied(shared, tmp_path, "scene_002", "scene_018", TIED, vocabularies=False)
    whole_code, whole = numbers(capsys, folder)
    code, answer = numbers(capsys, stripped(folder))
    assert (whole_code, code) == (0, 0) and all_agree(whole) and all_agree(answer)
    assert "obs_box" in whole and "obs_box" not in answer and "pdm_best" not in answer
    assert {name: whole[name] for name in answer if name not in ("total", "ties", "faults")} == {
        name: answer[name] for name in answer if name not in ("total", "ties", "faults")
    }
    assert answer["nr_multi"]["compared"] == 3 * 40 * 4 and answer["r_multi"]["compared"] == 3 * 16 * 4


def test_a_vocabulary_is_checked_where_there_is_one(tmp_path, shared, capsys):
    folder = stripped(copied(shared, tmp_path, "scene_020", vocabularies=True))
    code, answer = numbers(capsys, folder)
    assert code == 0 and all_agree(answer)
    assert answer["vocab_eval_raw_multi"]["compared"] == 129 * 4
    assert answer["vocab_gen_gt_ego_progress"]["compared"] == 128


def test_runs_of_the_command_line_and_their_tables(shared):
    runs = [path for path in golden_files(source(shared)) if path.parent.name == "two_stage"]
    verdict = verdict_of([checked(source(shared), path, exact=False) for path in runs])
    assert verdict.faults == () and len(runs) == 8
    assert verdict.agreements["run_table"].compared > 4000
    assert verdict.agreements["run_table"].worst <= 1e-9


def test_one_number_that_differs_is_found_and_named(tmp_path, shared, capsys):
    folder = copied(shared, tmp_path, "scene_007")
    path = folder / "scenes" / "scene_007.npz"
    with np.load(path) as file:
        multi, sim = file["nr_multi"], file["nr_sim"]
    multi[3, 1] = 0.5
    sim[5, 40, 0] += 2e-6
    changed(path, nr_multi=multi, nr_sim=sim)
    assert code_of("check", "scoring", folder) == 1
    out = capsys.readouterr().out
    assert "differs: scene_007: nr_multi[3, 1] is " in out and "expected 0.5" in out
    assert "differs: scene_007: nr_sim[5, 40, 0] is " in out
    code, answer = numbers(capsys, folder)
    assert code == 1 and len(answer["faults"]) == 2
    assert answer["nr_multi"]["compared"] - answer["nr_multi"]["equal"] == 1 and answer["nr_multi"]["worst"] == 0.5


def test_a_table_that_differs_is_found(tmp_path, shared):
    folder = copied(shared, tmp_path, "scene_007")
    (folder / "two_stage").mkdir()
    for path in (source(shared) / "two_stage").glob("two_stage_mixed.*"):
        shutil.copy(path, folder / "two_stage")
    table = folder / "two_stage" / "two_stage_mixed.csv"
    table.chmod(0o644)
    table.write_text(table.read_text().replace("0.12880076218312547", "0.12880076518312547"))
    verdict = verdict_of([checked(folder, folder / "two_stage" / "two_stage_mixed", exact=False)])
    (fault,) = verdict.faults
    assert fault.startswith("two_stage_mixed: run_summary")


def test_a_tie_that_fast_kernels_break_otherwise_is_named_and_no_fault(tmp_path, shared, monkeypatch, capsys):
    """Fast traffic that goes wrong is a fault, but in a scene with ties, where the exact twin is right."""
    true = golden_check.reacting

    def otherwise(start, ego, *, exact=False):
        tracks = true(start, ego, exact=exact)
        if not exact:
            tracks.xy[:, 0, 20:] += 0.01
        return tracks

    monkeypatch.setattr(golden_check, "reacting", otherwise)
    folder = copied(shared, tmp_path, TIED, "scene_007")
    for path in (folder / "scenes").glob("*.npz"):
        changed(path, **one_rollout_of(path))
    code, answer = numbers(capsys, folder)
    assert answer["ties"] == [f"{TIED}: r_idm_box"]
    assert code == 1 and all(fault.startswith("scene_007: r_idm_box") for fault in answer["faults"])
    code, answer = numbers(capsys, folder, "--exact")
    assert code == 0 and all_agree(answer) and answer["ties"] == []


def one_rollout_of(path: Path) -> dict[str, np.ndarray | None]:
    """Of what is reactive, the vehicles of the first rollout alone: the exact twin is slow."""
    with np.load(path) as file:
        reactive = {name: file[name] for name in file.files if name.startswith("r_")}
    rows = reactive["r_idm_start"][0, -1]
    kept = {name: reactive[name][:1] for name in ("r_index", "r_tie", "r_idm_traj", "r_idm_start")}
    kept |= {name: reactive[name][:rows] for name in ("r_idm_track", "r_idm_box", "r_idm_vel")}
    return dict.fromkeys(reactive) | kept


def test_half_a_pair_and_a_vocabulary_without_a_scene_are_refused(tmp_path, shared, capsys):
    folder = copied(shared, tmp_path, "scene_000", "scene_007", vocabularies=False)
    (folder / "vocab").mkdir()
    shutil.copy(source(shared) / "vocab" / "scene_002.npz", folder / "vocab")
    assert code_of("check", "scoring", folder) == 2
    assert "vocab/scene_002.npz: scene is missing" in capsys.readouterr().err
    (folder / "scenes" / "scene_007.json").unlink()
    assert code_of("check", "scoring", folder) == 2
    assert "scene_007.json: file is missing" in capsys.readouterr().err
    assert code_of("check", "scoring", tmp_path / "nowhere") == 2
    assert "nowhere/scenes: path is without scenes" in capsys.readouterr().err


def test_nothing_to_compare_is_no_proof(tmp_path, shared, capsys):
    folder = stripped(copied(shared, tmp_path, "scene_007"))
    path = folder / "scenes" / "scene_007.npz"
    with np.load(path) as file:
        results = [name for name in file.files if not name.startswith(RAW)]
    changed(path, **dict.fromkeys(results))
    assert code_of("check", "scoring", folder) == 2
    assert "results is none" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("exact", [(), ("--exact",)])
def test_everything_agrees(shared, capsys, exact):
    code, answer = numbers(capsys, source(shared), *exact)
    assert code == 0 and all_agree(answer) and answer["ties"] == []
    assert answer["nr_multi"]["compared"] == 1280 * 4 and answer["r_multi"]["compared"] == 512 * 4
    assert answer["nr_sim"]["worst"] < 1e-6


@pytest.mark.slow
def test_everything_agrees_from_raw_content_alone(tmp_path, shared, capsys):
    scenes = [path.stem for path in (source(shared) / "scenes").glob("*.npz")]
    folder = stripped(copied(shared, tmp_path, *scenes))
    shutil.copytree(source(shared) / "vocab", folder / "vocab")
    code, answer = numbers(capsys, folder)
    assert code == 0 and all_agree(answer)
    assert answer["nr_final"]["compared"] == 1280 * 7 and answer["vocab_eval_raw_multi"]["compared"] == 12 * 129 * 4


def test_lines_end_with_the_totals(tmp_path, shared, capsys):
    folder = stripped(copied(shared, tmp_path, "scene_007"))
    assert code_of("check", "scoring", folder) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1].startswith("total ") and any(line.startswith("nr_multi ") for line in lines)
    _, answer = numbers(capsys, folder)
    assert answer["total"]["compared"] == sum(
        one["compared"] for name, one in answer.items() if isinstance(one, dict) and name != "total"
    )
    assert json.dumps(answer)
