"""A sample as bytes: one archive of arrays, the same bytes for the same sample for ever.

The archive is an uncompressed `.npz` with sorted members and no dates. What is not an array lies in the member
`meta`, JSON in UTF-8. Nothing in it is pickled.
"""

import io
import json
import zipfile

import numpy as np

from simscale.generate.sample import ExpertLabel, ReactingAgents, Sample
from simscale.scene import BadInput, CarState, EgoVehicle, Plan

Array = np.ndarray

SCHEMA_VERSION = 1
NO_DATE = (1980, 1, 1, 0, 0, 0)
LABEL_WORDS = ("name", "accepted", "stage", "reason", "progress_m")
SAMPLE_WORDS = (
    "token",
    "parent_token",
    "log",
    "location",
    "round",
    "seed",
    "code_version",
    "t0",
    "candidate",
    "human_failed",
    "human_moves",
)


def recipe_of(sample: Sample) -> bytes:
    """The archive that `sample_of` reads."""
    arrays = {"deviation": sample.deviation, **_drive("perturbed", sample.plan, sample.ego, sample.agents)}
    for i, label in enumerate(sample.experts):
        arrays |= _drive(f"expert{i}", label.plan, label.ego, label.agents)
        arrays[f"expert{i}/sub_scores"] = label.sub_scores
    meta = {
        "schema_version": SCHEMA_VERSION,
        "vehicle": vars(sample.vehicle),
        "plan_dt": sample.plan.dt,
        "experts": [{w: getattr(e, w) for w in LABEL_WORDS} | {"plan_dt": e.plan.dt} for e in sample.experts],
        **{word: getattr(sample, word) for word in SAMPLE_WORDS},
    }
    text = json.dumps(meta, sort_keys=True, ensure_ascii=False, default=_plain)
    arrays["meta"] = np.frombuffer(text.encode(), dtype=np.uint8)
    return _packed(arrays)


def sample_of(recipe: bytes, *, name: str) -> Sample:
    """Reads the archive of `recipe_of`.

    Args:
        recipe: The archive.
        name: What to call it in errors.

    Raises:
        BadInput: It is damaged, or of a newer version.
    """
    try:
        arrays = _unpacked(recipe)
        meta = json.loads(arrays["meta"].tobytes())
        version = meta["schema_version"]
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, TypeError, NotImplementedError) as error:
        raise BadInput(name, "recipe", f"unreadable ({error})", "an archive of arrays") from error
    if version != SCHEMA_VERSION:
        raise BadInput(name, "schema_version", version, SCHEMA_VERSION)
    try:
        return _sample(arrays, meta)
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise BadInput(name, "recipe", f"incomplete ({error})", "all arrays of a sample") from error


def _sample(arrays: dict[str, Array], meta: dict) -> Sample:
    def driven(prefix: str, dt: float) -> dict:
        part = {key.split("/")[1]: value for key, value in arrays.items() if key.startswith(f"{prefix}/")}
        fields = ("index", "xy", "yaw", "velocity", "valid")
        return {
            "plan": Plan(xy=part["plan_xy"], yaw=part["plan_yaw"], dt=dt),
            "ego": CarState.unpacked(part["ego"]),
            "agents": ReactingAgents(**{field: part[f"agent_{field}"] for field in fields}),
        }

    experts = tuple(
        ExpertLabel(
            **{word: label[word] for word in LABEL_WORDS},
            sub_scores=arrays[f"expert{i}/sub_scores"],
            **driven(f"expert{i}", label["plan_dt"]),
        )
        for i, label in enumerate(meta["experts"])
    )
    words = {word: meta[word] for word in SAMPLE_WORDS} | {"human_failed": tuple(meta["human_failed"])}
    return Sample(
        **words,
        vehicle=EgoVehicle(**meta["vehicle"]),
        deviation=arrays["deviation"],
        experts=experts,
        **driven("perturbed", meta["plan_dt"]),
    )


def _drive(prefix: str, plan: Plan, ego: CarState, agents: ReactingAgents) -> dict[str, Array]:
    return {
        f"{prefix}/plan_xy": plan.xy,
        f"{prefix}/plan_yaw": plan.yaw,
        f"{prefix}/ego": ego.packed(),
        **{f"{prefix}/agent_{field}": array for field, array in vars(agents).items()},
    }


def _packed(arrays: dict[str, Array]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, _portable(arrays[name]), version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=NO_DATE)
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, member.getvalue())
    return stream.getvalue()


def _portable(array: Array) -> Array:
    """Little-endian and C order: the bytes depend on the numbers alone."""
    return np.ascontiguousarray(array).astype(np.dtype(array.dtype).newbyteorder("<"), copy=False)


def _unpacked(recipe: bytes) -> dict[str, Array]:
    with np.load(io.BytesIO(recipe), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is not plain data")
