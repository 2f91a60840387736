"""`.splat` in and out: 32 bytes a Gaussian, as small viewers of the web read them.

Means and scales as float32, colour, opacity and quaternion (wxyz) in bytes; no harmonics beyond the constant one. Rows
are sorted so that what is large and opaque comes first, which is what such viewers show while they load.
"""

from pathlib import Path

import numpy as np

from simscale.scene import BadInput
from simscale.splats.files_gltf import MOST_OPAQUE, SH_C0
from simscale.splats.files_ply import LARGEST, gaussians_from
from simscale.splats.files_writing import write_bytes
from simscale.splats.gaussians import Gaussians

Array = np.ndarray

MAX_ROWS = 50_000_000
ROW = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])
LEAST_SCALE = 1e-30
"""Scales are kept this far from 0, for their logarithms are finite, m."""


def write_splat(gaussians: Gaussians, path: Path) -> None:
    """Writes a file, whole or not at all. View-dependent colour is lost.

    Raises:
        OSError: The file cannot be written.
    """
    raw = {name: value.detach().cpu().numpy() for name, value in gaussians.tensors().items()}
    opacity = 1 / (1 + np.exp(-raw["logit_opacity"].astype(np.float64)))
    order = np.argsort(-opacity * np.exp(raw["log_scales"].astype(np.float64).sum(1)), kind="stable")
    quats = raw["quats"] / np.linalg.norm(raw["quats"], axis=1, keepdims=True)
    rgba = np.concatenate([0.5 + SH_C0 * raw["sh_dc"], opacity[:, None]], axis=1)
    rows = np.zeros(len(gaussians), dtype=ROW)
    rows["mean"], rows["scale"] = raw["means"][order], np.exp(raw["log_scales"])[order]
    rows["rgba"] = np.clip(np.round(255 * rgba), 0, 255)[order]
    rows["quat"] = np.clip(np.round(128 * quats + 128), 0, 255)[order]
    write_bytes(path, rows.tobytes())


def read_splat(path: Path) -> Gaussians:
    """Reads a file.

    Raises:
        BadInput: It is missing or damaged, or holds numbers that are not finite.
    """
    what = "a .splat file: 32 bytes for each Gaussian"
    if not path.is_file():
        raise BadInput(path, "file", "missing", what)
    size = path.stat().st_size
    if size == 0 or size % ROW.itemsize or size // ROW.itemsize > MAX_ROWS:
        raise BadInput(path, "size", f"{size} bytes", f"32 for each of 1 to {MAX_ROWS} Gaussians")
    rows = np.fromfile(path, dtype=ROW)
    for name in ("mean", "scale"):
        if not (np.abs(rows[name]) < LARGEST).all() or (name == "scale" and (rows[name] < 0).any()):
            raise BadInput(path, name, "not finite, huge or negative", f"finite numbers below {LARGEST:g}")
    rgba = rows["rgba"].astype(np.float64) / 255
    opacity = np.clip(rgba[:, 3], 1 - MOST_OPAQUE, MOST_OPAQUE)
    quats = (rows["quat"].astype(np.float64) - 128) / 128
    return gaussians_from(
        path,
        means=rows["mean"],
        log_scales=np.log(np.maximum(rows["scale"], LEAST_SCALE)),
        quats=quats,
        logit_opacity=np.log(opacity / (1 - opacity)),
        sh_dc=(rgba[:, :3] - 0.5) / SH_C0,
        sh_rest=np.zeros((len(rows), 0, 3)),
    )
