"""The tables beside the shards: where each member lies, what each label says, what was rejected.

Columns are only ever added, nullable. A table's bytes depend on its rows alone.
"""

import io
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simscale.generate.sample import SUB_SCORES, ReactingAgents, Rejection, Sample
from simscale.scene import CarState

Array = np.ndarray

SCHEMA_VERSION = 1
VERSION_KEY = b"simscale_schema_version"

POSES = pa.list_(pa.float64())  # x, y, yaw of one instant after another
TEXT = pa.string()

INDEX = pa.schema(
    {
        "member": TEXT,
        "token": TEXT,
        "round": pa.int32(),
        "shard": TEXT,
        "offset": pa.int64(),
        "length": pa.int64(),
        "sha256": TEXT,
        "width": pa.int32(),
        "height": pa.int32(),
        "camera": TEXT,
        "codec": TEXT,
    }
)
LABELS = pa.schema(
    {
        "token": TEXT,
        "parent_token": TEXT,
        "log": TEXT,
        "map": TEXT,
        "round": pa.int32(),
        "seed": pa.int64(),
        "t0": pa.int32(),
        "code_version": TEXT,
        "vehicle": TEXT,
        "candidate": pa.int64(),
        "deviation_lon": pa.float64(),  # m
        "deviation_lat": pa.float64(),  # m
        "deviation_yaw": pa.float64(),  # rad
        "human_failed": pa.list_(TEXT),
        "human_moves": pa.bool_(),
        "perturbed_poses": POSES,  # 10 Hz, from the token on
        "expert": TEXT,
        "accepted": pa.bool_(),
        "stage": TEXT,
        "reason": TEXT,
        "trajectory": POSES,  # 10 Hz, from the perturbed state on
        "reacting_agents": pa.int32(),
        "progress_m": pa.float64(),
        **{name: pa.float64() for name in SUB_SCORES},
    }
)
REJECTIONS = pa.schema(
    {
        "token": TEXT,
        "log": TEXT,
        "round": pa.int32(),
        "stage": TEXT,
        "expert": TEXT,
        "reason": TEXT,
        "t0": pa.int32(),
        "path": POSES,  # 2 Hz
        "agent_index": pa.list_(pa.int32()),
        "agent_poses": pa.list_(pa.float32()),  # x, y, yaw, valid; agent by agent, 2 Hz
    }
)


def table_bytes(rows: Sequence[dict], schema: pa.Schema) -> bytes:
    """A Parquet file of these rows."""
    table = pa.Table.from_pylist(list(rows), schema=schema)
    table = table.replace_schema_metadata({VERSION_KEY: str(SCHEMA_VERSION).encode()})
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.getvalue()


def label_rows(sample: Sample) -> list[dict]:
    """One row for each expert's label of a sample."""
    lon, lat, yaw = sample.deviation
    own = {
        "token": sample.token,
        "parent_token": sample.parent_token,
        "log": sample.log,
        "map": sample.location,
        "round": sample.round,
        "seed": sample.seed,
        "t0": sample.t0,
        "code_version": sample.code_version,
        "vehicle": sample.vehicle.name,
        "candidate": sample.candidate,
        "deviation_lon": lon,
        "deviation_lat": lat,
        "deviation_yaw": yaw,
        "human_failed": list(sample.human_failed),
        "human_moves": sample.human_moves,
        "perturbed_poses": _poses(sample.ego),
    }
    return [
        own
        | {
            "expert": label.name,
            "accepted": label.accepted,
            "stage": label.stage,
            "reason": label.reason,
            "trajectory": _poses(label.ego),
            "reacting_agents": len(label.agents.index),
            "progress_m": label.progress_m,
            **{n: None if np.isnan(s) else float(s) for n, s in zip(SUB_SCORES, label.sub_scores, strict=True)},
        }
        for label in sample.experts
    ]


def rejection_row(rejection: Rejection) -> dict:
    """The row of a rejection; its agents are kept to the precision of a picture."""
    agents = rejection.agents
    poses = np.concatenate([agents.xy, agents.yaw[..., None], agents.valid[..., None]], axis=-1)
    return {
        "token": rejection.token,
        "log": rejection.log,
        "round": rejection.round,
        "stage": rejection.stage,
        "expert": rejection.expert,
        "reason": rejection.reason,
        "t0": rejection.t0,
        "path": rejection.path.ravel().tolist(),
        "agent_index": agents.index.tolist(),
        "agent_poses": poses.astype(np.float32).ravel().tolist(),
    }


def rejection_of(row: dict) -> Rejection:
    """Undoes `rejection_row`, but for the agents' velocity, which is 0."""
    index = np.array(row["agent_index"], dtype=np.int64)
    path = np.array(row["path"], dtype=np.float64).reshape(-1, 3)
    stored = np.array(row["agent_poses"], dtype=np.float64)
    poses = stored.reshape(len(index), -1, 4)[:, : len(path)] if len(index) else np.zeros((0, len(path), 4))
    agents = ReactingAgents(
        index=index,
        xy=poses[..., :2],
        yaw=poses[..., 2],
        velocity=np.zeros((*poses.shape[:2], 2)),
        valid=poses[..., 3] > 0.5,
    )
    words = {key: row[key] for key in ("token", "log", "round", "stage", "expert", "reason", "t0")}
    return Rejection(**words, path=path, agents=agents)


def _poses(ego: CarState) -> list[float]:
    return np.concatenate([ego.xy, ego.yaw[:, None]], axis=-1).ravel().tolist()
