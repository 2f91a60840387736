"""Published checkpoints: PyTorch files of other projects, and what can be known of a planner from its weights alone.

Their weights have a training framework's prefix and lie in a table, or in a table within a table. They are taken out
with PyTorch's restricted reader: nothing in a file is ever executed. The planner is recognised by a weight that no
other has, its preset by the names and shapes of all weights. Two published checkpoints may agree in all of them and
differ in the resolution of their images; only whoever has the file can say which it is, or its digest, where we know it
(planners.md, section 7.4).
"""

import io
import pickle
import pickletools
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from simscale.dataset.files import sha256_of, write_whole
from simscale.planners.checkpoint import STITCHED_CAMERAS, CheckpointInfo, Origin, filled, first_fault, shapes_of
from simscale.planners.registry import PLANNERS
from simscale.planners.trunk import STRIDE
from simscale.scene import BadInput

PREFIXES = ("agent._transfuser_model.", "agent.model.", "agent.", "module.", "_orig_mod.")
"""What training frameworks put before the names of the weights; the longest that fits is taken off."""
TABLES = ("state_dict", "model_state_dict", "model")
"""Under which name a file may hold its weights beside other things."""
PUBLISHED_FILES = {
    "9c1a17651bb2cd8e2edf006ea45634432c38554a8f44e0714f64d11ea31f2c69": ("SimScale's LTF for navtest", (512, 2048)),
    "8fdbdb3fdfa7b496e7d7a438efbb5c2022377e59cbfd7095270d89623c5d963f": (
        "SimScale's DiffusionDrive for navhard",
        (512, 2048),
    ),
    "8dad0395332ccd844785cbfc7c9e24cb3f8d8dbf5cb9ca7f8f8dc75478fcf409": (
        "SimScale's GTRS with ResNet34 and rewards for navhard",
        (512, 2048),
    ),
    "2496b82f5f256d7de09fca656c7634967b8660eb12e5c10386a587283629a7ff": (
        "SimScale's GTRS with ResNet34 and the expert",
        (512, 2048),
    ),
    "7567d269bd8d0757cf906c30612bf1ad167ac7310e8af0ead74dc7798fe54c99": (
        "SimScale's GTRS with V2-99 and rewards",
        (512, 2048),
    ),
    "badcf3e7c3e2ecc1d7ecb9fc744c78420c368f96e47b89d1681ade7833cd5e57": (
        "SimScale's GTRS with V2-99 and the expert",
        (512, 2048),
    ),
}
"""Files by their digest: what they are, and the height and width that they were trained at."""
CODE = ("GLOBAL", "STACK_GLOBAL", "INST", "REDUCE", "OBJ", "NEWOBJ", "NEWOBJ_EX")
"""Instructions of a pickle that import or call."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a foreign file holds."""

    path: Path
    state: dict[str, Tensor]  # weights without their prefix
    origin: Origin
    name: str = ""  # what it is published as; empty where we do not know the file
    image_size: tuple[int, int] | None = None  # ... and what it was trained at


def read_weights(path: Path) -> Published:
    """Takes the weights out of a foreign file: PyTorch's, in any of its forms, or safetensors without our header.

    Raises:
        BadInput: No such file, one that is damaged or would run code, or one without a table of weights.
    """
    if not path.is_file():
        raise BadInput(path, "the checkpoint", "no file", "a checkpoint")
    held = _table_in(path)
    table = next((name for name in TABLES if isinstance(held, dict) and isinstance(held.get(name), dict)), "")
    found = held[table] if table else held
    if not isinstance(found, dict) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise BadInput(path, "the checkpoint", "no table of weights", "weights by name, or such a table in state_dict")
    state, prefix = without_prefix({str(name): weight for name, weight in found.items()})
    digest = sha256_of(path)
    name, size = PUBLISHED_FILES.get(digest, ("", None))
    origin = Origin(prefix=prefix, table=table, file=path.name, sha256=digest)
    return Published(path=path, state=state, origin=origin, name=name, image_size=size)


def without_prefix(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """The same weights without a prefix that all of their names share, and the prefix; prefixes may be stacked."""
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            rest, more = without_prefix({name.removeprefix(prefix): weight for name, weight in state.items()})
            return rest, prefix + more
    return state, ""


def planner_of(published: Published) -> str:
    """The planner, recognised by its weights' names.

    Raises:
        BadInput: It is none of ours.
    """
    for name, kind in PLANNERS.items():
        if kind.trace and any(kind.trace in key for key in published.state):
            return name
    found = f"unknown: {len(published.state)} weights, {min(published.state)} for one"
    raise BadInput(published.path, "the planner", found, f"the weights of {' or '.join(PLANNERS)}")


def matching_presets(published: Published, planner: str) -> dict[str, Any]:
    """Configurations by the preset's name that have these very weights.

    Raises:
        BadInput: None has. What the nearest finds wrong is said.
    """
    kind, faults = PLANNERS[planner], []
    shapes = {name: tuple(weight.shape) for name, weight in published.state.items()}
    fits: dict[str, Any] = {}
    for preset, config in kind.presets.items():
        fitted = config if kind.fitted is None else kind.fitted(config, shapes)
        expected = shapes_of(kind, fitted)
        if first_fault(published.state, expected) is None:
            fits[preset] = fitted
        theirs = {name: tuple(weight.shape) for name, weight in expected.items()}
        wrong = [name for name in shapes.keys() | theirs.keys() if shapes.get(name) != theirs.get(name)]
        faults.append((len(wrong), preset, expected))
    if not fits:
        _, preset, expected = min(faults, key=lambda each: each[0])
        fault = first_fault(published.state, expected)
        assert fault is not None
        what, found, wanted = fault
        raise BadInput(published.path, what, found, wanted or f"those of {planner} {preset}")
    return fits


def chosen_config(
    published: Published, planner: str, *, preset: str | None = None, resolution: tuple[int, int] | None = None
) -> tuple[str, Any]:
    """The preset's name (empty where it is none) and the configuration of published weights.

    Args:
        published: The weights.
        planner: See `planner_of`.
        preset: Which preset, where one is asked for.
        resolution: Height and width of the image, where it is said.

    Raises:
        BadInput: No preset has these weights, another one was asked for, or nobody can know the resolution.
    """
    if preset is not None and preset not in PLANNERS[planner].presets:
        raise BadInput(published.path, "--preset", repr(preset), f"one of {', '.join(PLANNERS[planner].presets)}")
    fits = matching_presets(published, planner)
    if preset is not None and preset not in fits:
        raise BadInput(published.path, "the weights", f"those of {planner} {' or '.join(fits)}", f"{planner} {preset}")
    fits = fits if preset is None else {preset: fits[preset]}
    size = resolution or published.image_size
    if size is None:
        sizes = {image_size_of(config) for config in fits.values()}
        if len(sizes) > 1:
            raise BadInput(published.path, "the resolution", "nothing that weights tell", _options(planner, fits))
        return next(iter(fits.items()))
    _check(published.path, size)
    for name, config in fits.items():
        if image_size_of(config) == size:
            return name, config
    return "", _at_resolution(published, planner, next(iter(fits.values())), size)


def image_size_of(config: Any) -> tuple[int, int]:
    """Height and width of the image that a configuration reads."""
    height, width = config.trunk.image_size
    return int(height), int(width)


def info_of(published: Published, *, preset: str | None, resolution: tuple[int, int] | None) -> CheckpointInfo:
    """What a checkpoint of ours says of published weights.

    Raises:
        BadInput: As `planner_of` and `chosen_config`.
    """
    planner = planner_of(published)
    name, config = chosen_config(published, planner, preset=preset, resolution=resolution)
    training = {"published": published.name} if published.name else {}
    return CheckpointInfo(
        planner=planner,
        preset=name,
        config=config,
        cameras=STITCHED_CAMERAS,
        training=training,
        origin=published.origin,
    )


def read_published(path: Path, *, preset: str | None = None, resolution: tuple[int, int] | None = None) -> nn.Module:
    """A planner with published weights, in evaluation mode.

    Args:
        path: See `read_weights`.
        preset: Preset of the planner; where it is not said, the one that has these weights.
        resolution: Height and width of the image, where they do not tell.

    Raises:
        BadInput: As `read_weights` and `chosen_config`.
    """
    published = read_weights(path)
    return filled(path, info_of(published, preset=preset, resolution=resolution), published.state)


def write_published(path: Path, state: Mapping[str, Tensor], info: CheckpointInfo) -> Path:
    """Writes weights as they were published: a PyTorch file with the origin's prefix and table.

    A planner that was trained here gets what its reference's framework writes.
    """
    origin = info.origin or Origin(prefix=PLANNERS[info.planner].prefix)
    order = shapes_of(PLANNERS[info.planner], info.config)  # safetensors keeps none
    named = {origin.prefix + name: state[name].detach().cpu().contiguous() for name in order}
    stream = io.BytesIO()
    torch.save({origin.table: named} if origin.table else named, stream)
    write_whole(path, stream.getvalue())
    return path


def _table_in(path: Path) -> Any:
    """Everything in the file.

    Raises:
        BadInput: It cannot be read, or not without running code.
    """
    with path.open("rb") as file:
        head = file.read(9)
    try:
        if head[8:] == b"{":
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old pickle protocols
            return torch.load(path, map_location="cpu", weights_only=True)
    except (MemoryError, OSError):
        raise
    except Exception as error:
        code = _code_in(path, head, error)
        if code is not None:
            found = f"a pickle that would run code ({code})" if code else "a pickle that would run code"
        elif isinstance(error, SafetensorError | EOFError) or head[:2] == b"PK" or "EOF" in str(error):
            found = "truncated or damaged"
        else:
            found = "no PyTorch file"
        raise BadInput(path, "the checkpoint", found, "weights alone, as torch.save writes them") from None


def _code_in(path: Path, head: bytes, error: Exception) -> str | None:
    """What a pickle would import or call; None where it would run nothing, or is no pickle."""
    named = re.search(r"GLOBAL (\S+)", str(error))
    if named is not None:
        return named[1]
    if head[:1] != b"\x80":
        return None
    words: list[str] = []
    try:
        for code, argument, _ in pickletools.genops(path.read_bytes()):
            if code.name in ("GLOBAL", "INST"):
                return str(argument).replace(" ", ".")
            if code.name in CODE:
                return ".".join(words[-2:])
            if isinstance(argument, str):
                words.append(argument)
    except (ValueError, pickle.UnpicklingError):
        pass
    return None


def _options(planner: str, fits: Mapping[str, Any]) -> str:
    sizes = {image_size_of(config): preset for preset, config in reversed(list(fits.items()))}
    return " or ".join(f"--resolution {h} {w} (as {planner} {preset})" for (h, w), preset in sorted(sizes.items()))


def _check(path: Path, size: tuple[int, int]) -> None:
    height, width = size
    if height < STRIDE or height % STRIDE or width != 4 * height:
        raise BadInput(
            path, "--resolution", f"{height} {width}", f"a multiple of {STRIDE}, and 4 times as wide as high"
        )


def _at_resolution(published: Published, planner: str, config: Any, size: tuple[int, int]) -> Any:
    """The same planner at another resolution.

    Raises:
        BadInput: It would have other weights.
    """
    other = replace(config, trunk=replace(config.trunk, image_size=size))
    if first_fault(published.state, shapes_of(PLANNERS[planner], other)) is not None:
        height, width = image_size_of(config)
        raise BadInput(published.path, "--resolution", f"{size[0]} {size[1]}", f"{height} {width}: these weights' own")
    return other
