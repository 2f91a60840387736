"""Small golden folders for tests: whole scenes, or only what a check needs of them."""

import json
import shutil
from pathlib import Path

import numpy as np

RAW = ("log_", "map_poly_", "base_", "traj_poses", "traj10_poses")
"""What goes into a check."""
RESULTS = (
    "nr_sim",
    "nr_vel_profile",
    "nr_curv_profile",
    "nr_multi",
    "nr_weighted",
    "nr_progress_raw",
    "nr_final",
    "nr_human_multi",
    "nr10_sim",
    "nr10_multi",
    "nr10_final",
    "hc_minmax",
    "ec_",
    "pdm_traj_states",
    "r_index",
    "r_multi",
    "r_weighted",
    "r_progress_raw",
    "r_final",
    "r_idm_",
)
"""What a check compares, and nothing from between."""
TEXT = ("format", "map", "route_roadblock_ids", "log_traffic_lights")


def source(shared: Path) -> Path:
    """The founders' golden folder."""
    return shared / "golden" / "scoring"


def copied(shared: Path, folder: Path, *scenes: str, vocabularies: bool = False) -> Path:
    """A folder with some scenes, and their vocabularies."""
    for name in scenes:
        for part, suffix in [("scenes", ".npz"), ("scenes", ".json"), *([("vocab", ".npz")] if vocabularies else [])]:
            (folder / part).mkdir(parents=True, exist_ok=True)
            shutil.copy(source(shared) / part / f"{name}{suffix}", folder / part)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def stripped(folder: Path) -> Path:
    """The same folder with nothing in its scenes but raw content and results."""
    for path in (folder / "scenes").glob("*.npz"):
        with np.load(path) as file:
            kept = {name: file[name] for name in file.files if name.startswith((*RAW, *RESULTS))}
        np.savez(path, **kept)
        text = json.loads(path.with_suffix(".json").read_text())
        path.with_suffix(".json").write_text(json.dumps({name: text[name] for name in TEXT}))
    return folder


def changed(path: Path, **arrays: np.ndarray | None) -> None:
    """Replaces arrays of a file; None takes one out."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files} | arrays
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
