"""MTGS's portable checkpoints in, as WorldEngine's renderer reads them: one `.ckpt` for each clip.

A dictionary of nodes (`background`, `skybox`, `rigid_object_<track>`), each with a `config` and a `state_dict`, that
`torch.save` wrote. Such a file is a pickle in a zip, and pickles are programs: torch's weights-only machine walks it,
with stand-ins for the few NumPy names that its configuration mentions, after the zip itself has been found plain.

Conventions of MTGS that change here: colours of degree 0 are sigmoids, not harmonics; a missing agent is parked 100 km
up; one-axis scales mean balls; traversals have colours of their own, of which one is taken.
"""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from simscale.scene import BadInput
from simscale.splats.gaussians import SH_RESTS, Gaussians

Array = np.ndarray

WHAT = "a portable checkpoint of MTGS or WorldEngine"
MAX_BYTES = 8 << 30
"""A clip of 1.5 million Gaussians has 0.4 GB."""
MAX_PROGRAM_BYTES = 8 << 20
"""Of the pickle beside the arrays (ours); that of a clip with 25 nodes has 50 KB."""
MAX_MEMBERS = 10_000
PARKED = 1000.0
"""An agent higher than this is not there, m (`log_trans[:, 2] < 1000` in WorldEngine)."""
SH_C0 = 0.28209479177387814

Role = Literal["street", "sky", "agent"]
ROLES: dict[str, Role] = {
    "VanillaGaussianSplattingModel": "street",
    "MultiColorGaussianSplattingModel": "street",
    "SkyboxGaussianSplattingModel": "sky",
    "RigidSubModel": "agent",
    "MirroredRigidSubModel": "agent",
}
"""What each class of MTGS is to us; deformable ones need a network and are left out."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One cloud of a clip."""

    name: str  # as in the file: background, skybox, rigid_object_<track>
    role: Role
    mirrored: bool  # the other side of an agent is its own, reflected in its y axis
    gaussians: Gaussians  # an agent's in its box's frame, all else in the reconstruction's
    time: Float[Array, " t"]  # of the poses, in the log's seconds; none for the street and for a parked agent
    quat_wxyz: Float[Array, "t 4"]  # recon_from_box
    translation: Float[Array, "t 3"]  # recon_from_box, m
    present: Bool[Array, " t"]


@dataclass(frozen=True, kw_only=True)
class PortableCheckpoint:
    """A clip."""

    nodes: tuple[Node, ...]
    map_from_recon: Float[Array, "3"]  # translation, m
    left_out: tuple[str, ...]  # nodes that we cannot draw, with their class


def read_portable(path: Path, *, traversal: int = 0) -> PortableCheckpoint:
    """Reads a checkpoint without running it.

    Args:
        path: The `.ckpt`.
        traversal: Whose colours, where traversals have their own.

    Raises:
        BadInput: The file is damaged, holds code, promises more than it holds, or is another kind of checkpoint.
    """
    _check_zip(path)
    content = _load(path)
    if not isinstance(content, dict) or not content or not all(_is_node(one) for one in content.values()):
        raise BadInput(path, "content", "no table of nodes with config and state_dict", WHAT)
    nodes, left_out = [], []
    for name, entry in content.items():
        kind = entry["config"].get("type")
        if kind in ROLES:
            nodes.append(_node(path, str(name)[:100], kind, entry, traversal))
        else:
            left_out.append(f"{str(name)[:100]} ({str(kind)[:60]})")
    if not nodes:
        raise BadInput(path, "content", f"only {', '.join(left_out[:3])}", f"nodes of {', '.join(ROLES)}")
    moved = content.get("background", {}).get("config", {}).get("recon2world_translation", (0.0, 0.0, 0.0))
    try:
        shift = np.asarray(moved, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        shift = np.full(1, np.nan)
    if shift.shape != (3,) or not np.isfinite(shift).all():
        raise BadInput(path, "recon2world_translation", str(moved)[:60], "three finite numbers")
    return PortableCheckpoint(nodes=tuple(nodes), map_from_recon=shift, left_out=tuple(left_out))


def _check_zip(path: Path) -> None:
    """Refuses whatever could unpack to more than it is."""
    if not path.is_file():
        raise BadInput(path, "file", "missing", WHAT)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise BadInput(path, "size", f"{size} bytes", f"at most {MAX_BYTES}")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise BadInput(path, "file", "not a zip, or a damaged one", f"{WHAT}, saved by torch 1.6 or newer") from None
    packed = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
    total = sum(member.file_size for member in members)
    if packed or total > size or len(members) > MAX_MEMBERS:
        raise BadInput(path, "members", f"{len(members)} of {total} bytes, {len(packed)} packed", "plain ones")
    programs = [member.file_size for member in members if member.filename.endswith("data.pkl")]
    if len(programs) != 1 or programs[0] > MAX_PROGRAM_BYTES:
        raise BadInput(path, "data.pkl", f"{programs} bytes", f"one of at most {MAX_PROGRAM_BYTES}")


def _load(path: Path) -> Any:
    with torch.serialization.safe_globals(_numpy_stand_ins()):
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:  # whatever the machine meets, the file is at fault
            words = re.sub(r"\s+", " ", str(error))[:100]
            raise BadInput(path, "file", f"refused ({type(error).__name__}: {words})", WHAT) from None


def _numpy_stand_ins() -> list[Any]:
    """The NumPy names of a pickled array; functions of ours make nothing larger than they are given."""
    plain = [np.dtype(kind) for kind in ("f4", "f8", "i4", "i8", "u1", "?")]
    names: list[Any] = [np.ndarray, (_dtype, "numpy.dtype"), *{type(kind) for kind in plain}]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        names += [(_empty_array, f"{module}._reconstruct"), (_scalar, f"{module}.scalar")]
    return names


def _empty_array(kind: Any, shape: Any, letter: Any) -> Array:
    if kind is not np.ndarray or tuple(shape) != (0,):
        raise ValueError("an array that is not made from its bytes")
    return np.ndarray((0,), dtype=np.int8)


def _dtype(name: Any, *more: Any) -> np.dtype:
    if name not in ("f4", "f8", "i4", "i8", "u1", "b1"):
        raise ValueError(f"arrays of {str(name)[:20]}")
    return np.dtype(name)


def _scalar(dtype: np.dtype, content: bytes) -> Any:
    return np.frombuffer(content, dtype=dtype, count=1)[0]


def _is_node(entry: Any) -> bool:
    return (
        isinstance(entry, dict) and isinstance(entry.get("config"), dict) and isinstance(entry.get("state_dict"), dict)
    )


def _node(path: Path, name: str, kind: str, entry: dict[str, Any], traversal: int) -> Node:
    state, config = entry["state_dict"], entry["config"]
    time, quat, place = _poses(path, name, state, config)
    present = place[:, 2] < PARKED
    return Node(
        name=name,
        role=ROLES[kind],
        mirrored=kind.startswith("Mirrored"),
        gaussians=_gaussians(path, name, state, config, traversal),
        time=time,
        quat_wxyz=quat,
        translation=place,
        present=present,
    )


def _tensor(path: Path, name: str, state: dict[str, Any], key: str) -> Tensor:
    """An array as float32, after its shape has been seen to need no more bytes than it has."""
    nested = state.get("gauss_params")
    found = state.get(f"gauss_params.{key}", nested.get(key) if isinstance(nested, dict) else None)
    found = state.get(key) if found is None else found
    field = f"{name}: {key}"
    if not isinstance(found, Tensor) or not found.is_floating_point() or found.layout != torch.strided:
        raise BadInput(path, field, type(found).__name__, "an array of floats")
    if found.numel() * found.element_size() > found.untyped_storage().nbytes():
        raise BadInput(path, field, f"{found.numel()} numbers", "as many as the file holds")
    made = found.detach().to(torch.float32).contiguous()
    if not torch.isfinite(made).all():
        raise BadInput(path, field, "not finite", "finite numbers")
    return made


def _gaussians(path: Path, name: str, state: dict[str, Any], config: dict[str, Any], traversal: int) -> Gaussians:
    means, scales = _tensor(path, name, state, "means"), _tensor(path, name, state, "scales")
    count = len(means)
    if scales.ndim == 2 and scales.shape[1] == 1:
        scales = scales.expand(count, 3).contiguous()
        quats = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(count, 4).contiguous()
    else:
        quats = _tensor(path, name, state, "quats")
    opacity = _tensor(path, name, state, "opacities").reshape(-1)
    dc, rest = _tensor(path, name, state, "features_dc"), _tensor(path, name, state, "features_rest")
    if dc.ndim == 3:
        dc = dc[:, 0]  # the constant term of MTGS's Fourier series in time
    adapters = state.get("gauss_params.features_adapters")
    if adapters is not None:
        own = _tensor(path, name, state, "features_adapters")
        dc = dc + _of_traversal(path, name, own, traversal)
    if rest.ndim == 4:
        rest = _of_traversal(path, name, rest, traversal).contiguous()
    if config.get("sh_degree") == 0:
        dc = (torch.sigmoid(dc) - 0.5) / SH_C0
        rest = rest[:, :0]
    parts = {"means": means, "log_scales": scales, "quats": quats, "logit_opacity": opacity, "sh_dc": dc}
    widths = {"means": (3,), "log_scales": (3,), "quats": (4,), "logit_opacity": (), "sh_dc": (3,)}
    odd = [key for key, value in parts.items() if value.shape != (count, *widths[key])]
    if odd or rest.ndim != 3 or rest.shape[::2] != (count, 3) or rest.shape[1] not in SH_RESTS:
        shapes = {key: tuple(value.shape) for key, value in (parts | {"sh_rest": rest}).items()}
        raise BadInput(path, f"{name}: gauss_params", shapes, "Gaussians")
    return Gaussians(**parts, sh_rest=rest)


def _of_traversal(path: Path, name: str, array: Tensor, traversal: int) -> Tensor:
    if array.ndim < 3 or not 0 <= traversal < array.shape[1]:
        raise BadInput(path, f"{name}: traversals", f"{tuple(array.shape)}", f"one numbered {traversal}")
    return array[:, traversal]


def _poses(path: Path, name: str, state: dict[str, Any], config: dict[str, Any]) -> tuple[Array, Array, Array]:
    """Times, quaternions and places of an agent in the log; one pose without a time where it is parked."""
    if "instance_trans" not in state:
        return np.zeros(0), np.zeros((0, 4)), np.zeros((0, 3))
    place = _tensor(path, name, state, "instance_trans").numpy().astype(np.float64).reshape(-1, 3)
    quat = _tensor(path, name, state, "instance_quats").numpy().astype(np.float64).reshape(-1, 4)
    stamps = config.get("log_timestamps")
    if len(place) == 1 or stamps is None:
        time = np.zeros(len(place))
    elif isinstance(stamps, Tensor) and stamps.numel() == len(place):
        time = stamps.detach().reshape(-1).to(torch.float64).numpy()
    else:
        raise BadInput(path, f"{name}: log_timestamps", str(type(stamps).__name__), f"{len(place)} times")
    length = np.linalg.norm(quat, axis=-1)
    if len(quat) != len(place) or (length < 1e-6).any() or not np.isfinite(time).all():
        raise BadInput(path, f"{name}: instance_quats", f"{len(quat)} quaternions", f"{len(place)} of some length")
    return time, quat / length[:, None], place
