"""Golden planners: ours with the weights and inputs of the recipe, against what the reference said with them.

Outputs are compared, and on the way to them whatever the folder holds of the inside. A manifest, where there is one,
lists the reference's weights; ours must have the same, key by key.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from simscale.evaluate.comparison import EXACT, Comparison, of_names
from simscale.evaluate.golden_inside import SEEN
from simscale.evaluate.golden_recipe import Recipe, arcs, camera, lidar, status, weight
from simscale.planners.registry import PLANNERS, PlannerKind
from simscale.scene import BadInput

Array = np.ndarray

RELATIVE, ABSOLUTE = 1e-4, 2e-4
"""Tolerance of everything that a network says (planners.md, section 7.3)."""
SUMS = 1e-9
"""Of a weight's sum, relative: the recipe is bit-exact."""
CASES = {
    "ltf_simscale": ("ltf", "simscale"),
    "ltf_navsim_256": ("ltf", "navsim"),
    "transfuser_navsim_lidar": ("ltf", "navsim_lidar"),
    "diffusiondrive_simscale": ("diffusiondrive", "simscale"),
    "diffusiondrive_hustvl": ("diffusiondrive", "hustvl_lidar"),
    "gtrs_resnet34_simscale": ("gtrs", "simscale"),
    "gtrs_resnet34_simscale_v8192": ("gtrs", "simscale"),
    "gtrs_vov_simscale": ("gtrs", "simscale_v99"),
    "gtrs_vov_nvlabs": ("gtrs", "nvlabs_v99"),
}
"""Planner and preset of each case."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case of a golden folder."""

    name: str
    kind: PlannerKind
    planner: str
    config: Any
    expected: dict[str, Array]
    manifest: tuple[dict, ...] | None  # rows, where there is a manifest


def is_known(name: str) -> bool:
    """Whether a case's planner and preset are there to be compared."""
    planner, preset = CASES.get(name, ("", ""))
    return planner in PLANNERS and preset in PLANNERS[planner].presets


def read_case(folder: Path, name: str) -> Case:
    """Reads a known case.

    Raises:
        BadInput: A file is damaged, or has no status to tell how many samples there are.
    """
    path = folder / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            expected = dict(file)
    except Exception as error:
        raise BadInput(path, "file", f"unreadable ({type(error).__name__})", "arrays of a case") from None
    if "status_feature" not in expected:
        raise BadInput(path, "status_feature", "absent", "the status of each sample")
    planner, preset = CASES[name]
    kind = PLANNERS[planner]
    config = kind.presets[preset]
    if kind.chooses and "scores" in expected:
        config = replace(config, vocabulary=expected["scores"].shape[-1])
    rows = _manifest(folder / f"{name}.manifest.json")
    return Case(name=name, kind=kind, planner=planner, config=config, expected=expected, manifest=rows)


def network_comparisons(case: Case, recipe: Recipe) -> Iterator[Comparison]:
    """Everything there is to compare of a case."""
    model = case.kind.build(case.config, seed=0)
    weights = {name: _weight(name, value, case, recipe) for name, value in model.state_dict().items()}
    if case.manifest is not None:
        yield from _manifest_comparisons(model, weights, case.manifest)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=True)
    model.eval()
    inputs = _inputs(case, recipe)
    yield Comparison(
        quantity="status_feature", found=inputs[1].numpy(), expected=case.expected["status_feature"], tolerance=EXACT
    )
    with torch.inference_mode():
        found = SEEN[case.planner](model, inputs, case.expected)
    known = found.keys() | {"status_feature", "noise", "train_timesteps", "train_target"}
    for name in case.expected.keys() - known:
        yield Comparison(quantity=name, found=np.zeros(0), expected=case.expected[name], tolerance=EXACT)
    for name, value in found.items():
        if name in case.expected:
            yield close(name, value, case.expected[name])


def close(quantity: str, found: Tensor | Array | float, expected: Array) -> Comparison:
    """Numbers of a network; whole numbers, such as a choice, have to be the same."""
    whole = np.issubdtype(np.asarray(expected).dtype, np.integer)
    return Comparison(
        quantity=quantity,
        found=np.asarray(found.detach().cpu().numpy() if isinstance(found, Tensor) else found),
        expected=np.asarray(expected),
        tolerance=EXACT if whole else ABSOLUTE,
        relative=0.0 if whole else RELATIVE,
    )


def _weight(name: str, value: Tensor, case: Case, recipe: Recipe) -> Array:
    if name == case.kind.vocabulary:
        count, poses, numbers = value.shape
        if case.kind.chooses:
            return arcs(f"gtrs-vocab-{count}", count, poses, 0.1)
        return np.ascontiguousarray(arcs("dd-anchors", count, poses, 0.5)[..., :numbers])
    return weight(name, tuple(value.shape), str(value.dtype).removeprefix("torch."), salt=recipe.salt)


def _inputs(case: Case, recipe: Recipe) -> tuple[Tensor, ...]:
    name, count = recipe.prefix + case.name, len(case.expected["status_feature"])
    trunk = case.config.trunk
    given = [camera(name, count, *trunk.image_size), status(name, count)]
    if not trunk.latent:
        given.append(lidar(name, count, channels=trunk.bev_channels, side=trunk.bev_size))
    return tuple(torch.from_numpy(each) for each in given)


def _manifest(path: Path) -> tuple[dict, ...] | None:
    try:
        return tuple(json.loads(path.read_bytes())["state_dict"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(path, "manifest", f"not readable ({error!r})", "state_dict, a list of weights") from None


def _manifest_comparisons(
    model: nn.Module, weights: Mapping[str, Array], rows: tuple[dict, ...]
) -> Iterator[Comparison]:
    """Names in order, shape, type and kind of every weight, its sum and its first numbers."""
    taught = {name: weight.requires_grad for name, weight in model.named_parameters()}
    yield of_names("manifest_keys", list(weights), [str(row.get("key")) for row in rows])
    kinds = [
        _kind(value.shape, value.dtype, name in taught, taught.get(name, False)) for name, value in weights.items()
    ]
    yield of_names("manifest_shapes", kinds, [_kind_of(row) for row in rows])
    known = [row for row in rows if row.get("key") in weights and "sum" in row]
    sums = [float(weights[row["key"]].astype(np.float64).sum()) for row in known]
    expected = np.array([row["sum"] for row in known], dtype=np.float64)
    yield Comparison(quantity="manifest_sums", found=np.array(sums), expected=expected, tolerance=SUMS, relative=SUMS)
    heads = [(weights[row["key"]].reshape(-1)[: len(row["head"])], row["head"]) for row in known if "head" in row]
    yield Comparison(
        quantity="manifest_heads",
        found=np.concatenate([found for found, _ in heads] or [np.zeros(0)]).astype(np.float64),
        expected=np.concatenate([np.asarray(head, dtype=np.float64) for _, head in heads] or [np.zeros(0)]),
        tolerance=EXACT,
    )


def _kind(shape: tuple[int, ...], dtype: object, parameter: bool, taught: bool) -> str:
    return f"{list(shape)} {dtype} {'parameter' if parameter else 'buffer'} {taught}"


def _kind_of(row: dict) -> str:
    return _kind(
        tuple(row.get("shape", ())), row.get("dtype"), row.get("kind") == "parameter", bool(row.get("requires_grad"))
    )
