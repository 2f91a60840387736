"""A scoring run: plans of many tokens, judged scene by scene, then put together as the reference's scripts do.

The run is cut into units of a few tokens of one scene, each committed as a file: any number of workers leaves the same
numbers, and the same command goes on where it was stopped. A token that fails is listed and counted, lowers the
coverage, and never ends a run.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale import __version__
from simscale.dataset.files import sha256_of
from simscale.engine.run import Progress, RunReport, RunSettings, items_done, run
from simscale.engine.units import KEY_LENGTH, Unit, key_of
from simscale.evaluate.aggregate import Group, TwoStage, extended_comforts, following_pairs, token_columns, two_stage
from simscale.evaluate.protocol import PDMS_V1, Protocol
from simscale.evaluate.score_unit import FOLDER, Judged, Task, log_of, not_judged, read_unit, score_unit, states_of
from simscale.evaluate.table import PDMS, SUMMARY_OF, ScoreTable, column_means, epdms_table
from simscale.scene import PACIFICA, BadInput
from simscale.scene.file import SUFFIX, scene_files
from simscale.scoring.pdms import pdms_total
from simscale.scoring.rules import PARITY

Array = np.ndarray

TOKENS_A_UNIT = 16
"""Tokens that are judged, committed and, after a crash, judged again as a whole: a second or two of work."""
REACTIVE_MAPPING = "reactive_all_mapping"
"""Under this name the reference's split files hold the groups (`split_navhard_two_stage.yaml`)."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Groups of two stages, by names of tokens."""

    token: tuple[str, ...]  # first-stage tokens in the order of the groups, then those of the second stage
    group: tuple[Group, ...]  # rows of `token`
    second: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class ScoreRun:
    """What a run came to; rows are tokens."""

    protocol: Protocol
    token: tuple[str, ...]
    stage: Int[Array, " n"]
    log: tuple[str, ...]  # scene of each
    columns: Float[Array, "n c"]  # as the table has them, the score last; NaN where not scored
    scored: Bool[Array, " n"]
    failures: tuple[tuple[str, str], ...]  # (token, reason)
    groups: tuple[Group, ...]
    both: TwoStage | None  # of two stages
    table: ScoreTable

    @property
    def coverage(self) -> float:
        """Share of the tokens that are scored."""
        return float(self.scored.mean())


def read_groups(path: Path) -> Groups:
    """Groups from a JSON file: `[[now, prev, [[now2, prev2], ...]], ...]`, alone or under `reactive_all_mapping`.

    Raises:
        BadInput: It is missing, no JSON, or holds something else.
    """
    try:
        held = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(path, "groups", "missing", "a JSON file") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(path, "groups", f"no JSON ({error})", "a list of groups") from None
    held = held.get(REACTIVE_MAPPING) if isinstance(held, dict) else held
    if not isinstance(held, list) or not held or not all(_is_group(group) for group in held):
        raise BadInput(path, "groups", "something else", "[[now, prev, [[now2, prev2], ...]], ...], names of tokens")
    first = [token for now, prev, _ in held for token in (now, prev)]
    second = [token for _, _, pairs in held for pair in pairs for token in pair]
    token = (*first, *second)
    if len(set(token)) < len(token):
        twice = next(name for name, count in Counter(token).items() if count > 1)
        raise BadInput(path, "groups", f"with {twice} twice", "each token once")
    row = {name: n for n, name in enumerate(token)}
    groups = tuple(
        Group(now=row[now], prev=row[prev], pairs=np.array([[row[t] for t in pair] for pair in pairs], dtype=np.int64))
        for now, prev, pairs in held
    )
    return Groups(token=token, group=groups, second=frozenset(second))


def _is_group(group: object) -> bool:
    def pair(value: object) -> bool:
        return isinstance(value, list) and len(value) == 2 and all(isinstance(token, str) for token in value)

    if not isinstance(group, list) or len(group) != 3:
        return False
    return pair(group[:2]) and isinstance(group[2], list) and len(group[2]) > 0 and all(pair(p) for p in group[2])


def scenes_by_id(folders: Sequence[Path]) -> dict[str, Path]:
    """Scene files of some folders by the ids that their names carry.

    Raises:
        BadInput: A folder without scenes, or two files of one id.
    """
    found: dict[str, Path] = {}
    for path in [path for folder in folders for path in scene_files(folder)]:
        name = path.name.removesuffix(SUFFIX)
        if found.setdefault(name, path) != path:
            raise BadInput(path, "id", repr(name), f"an id of its own ({found[name]} has it too)")
    return found


def scored(
    tokens: Sequence[str],
    task: Task,
    out: Path,
    *,
    groups: Groups | None,
    configuration: dict[str, Any],
    workers: int = 1,
    on_start: Callable[[int], None] = lambda done: None,
    on_done: Callable[[Progress], None] = lambda progress: None,
) -> ScoreRun:
    """Judges all tokens that an earlier run in `out` has not judged, and puts the numbers together.

    Args:
        tokens: What to score; of two stages, those of the groups.
        task: How.
        out: The run's folder.
        groups: Of two stages.
        configuration: See `configuration_of`; a folder begun with another one is refused.
        workers: Processes.
        on_start: Told how many tokens an earlier run has judged.
        on_done: Told after every unit.

    Raises:
        BadInput: The folder holds another run.
        OSError: The folder cannot be written.
    """
    units = units_of_tokens(tokens, configuration)
    on_start(items_done(units, out))
    report = run(
        units,
        partial(score_unit, task=task),
        out=out,
        folders=(FOLDER,),
        configuration=configuration,
        settings=RunSettings(workers=workers, allowed_failures=1.0),
        on_done=on_done,
    )
    return put_together(_in_order(tokens, report, task.protocol, out), task.protocol, groups)


def configuration_of(tokens: Sequence[str], task: Task, *, sha256: str) -> dict[str, Any]:
    """All that verdicts depend on; `sha256` is that of the plans."""
    used = sorted({log_of(token) for token in tokens} & task.scenes.keys())
    return {
        "stage": "score",
        "version": __version__,
        "protocol": asdict(task.protocol),
        "plans": sha256,
        "driver": task.driver,
        "second": sorted(task.second),
        "scenes": {name: sha256_of(task.scenes[name]) for name in used},
    }


def units_of_tokens(tokens: Sequence[str], configuration: dict[str, Any]) -> list[Unit]:
    """A few tokens of one scene each."""
    units = []
    for _, same in groupby(sorted(tokens, key=lambda token: (log_of(token), token)), key=log_of):
        items = tuple(same)
        for first in range(0, len(items), TOKENS_A_UNIT):
            some = items[first : first + TOKENS_A_UNIT]
            units.append(Unit(key=key_of([list(some), configuration])[:KEY_LENGTH], items=some))
    return units


def _in_order(tokens: Sequence[str], report: RunReport, protocol: Protocol, out: Path) -> Judged:
    """All units' verdicts in the order of the tokens; those of a unit that died carry its error."""
    parts = [read_unit(out / file.name) for finished in report.done.values() for file in finished.files]
    known = {token for part in parts for token in part.token}
    reason = "; ".join(failure.error for failure in report.failures)[:200]
    parts.append(not_judged([token for token in tokens if token not in known], reason, protocol))
    row = {token: n for n, token in enumerate(token for part in parts for token in part.token)}
    order = np.array([row[token] for token in tokens])
    joined = {}
    for field in fields(Judged):
        values = [getattr(part, field.name) for part in parts]
        if isinstance(values[0], tuple):
            flat = [value for part in values for value in part]
            joined[field.name] = tuple(flat[n] for n in order)
        else:
            joined[field.name] = np.concatenate(values)[order]
    return Judged(**joined)


def put_together(judged: Judged, protocol: Protocol, groups: Groups | None) -> ScoreRun:
    """Columns, summary rows and table of verdicts."""
    known = np.array([not reason for reason in judged.reason], dtype=bool)
    stage = np.array([2 if groups and token in groups.second else 1 for token in judged.token], dtype=np.int64)
    both = None
    if protocol.score == PDMS_V1:
        columns = _pdms_columns(judged.shown)
    else:
        extended = _extended(judged, known, groups)
        columns = token_columns(judged.counted, extended, PARITY, shown=judged.shown)
        columns[~known] = np.nan
    if groups is not None:
        both = two_stage(columns, groups.group, end_xy=judged.end_xy, start_xy=judged.start_xy, scored=known)
    return ScoreRun(
        protocol=protocol,
        token=judged.token,
        stage=stage,
        log=judged.log,
        columns=columns,
        scored=known,
        failures=tuple((token, why) for token, why in zip(judged.token, judged.reason, strict=True) if why),
        groups=() if groups is None else groups.group,
        both=both,
        table=_table(judged.token, stage, columns, known, both, protocol),
    )


def _pdms_columns(shown: Float[Array, "n 6"]) -> Float[Array, "n 7"]:
    collision, drivable, progress, on_time, comfort = shown.T[:5]
    return np.column_stack([shown, pdms_total(collision * drivable, progress, on_time, comfort)])


def _extended(judged: Judged, known: Bool[Array, " n"], groups: Groups | None) -> Float[Array, " n"]:
    """Extended comfort of each token; NaN where it has no partner (scoring.md 7.1, 7.2)."""
    extended = np.full(len(known), np.nan)
    if groups is None:
        rows = np.flatnonzero(known)
        log = np.unique(np.array(judged.log), return_inverse=True)[1]
        pairs = rows[following_pairs(judged.time_us[rows], log[rows])].reshape(-1, 2)
    else:
        chains = [np.array([[group.now, group.prev]]) for group in groups.group]
        pairs = np.concatenate([*chains, *(group.pairs for group in groups.group)])
        pairs = pairs[known[pairs].all(axis=1)]
    if len(pairs):
        found = extended_comforts(states_of(judged), pairs, judged.time_us, vehicle=PACIFICA, rules=PARITY)
        extended[pairs[:, 0]] = found
        if groups is not None:
            extended[pairs[:, 1]] = found
    return extended


def _table(
    token: tuple[str, ...],
    stage: Int[Array, " n"],
    columns: Float[Array, "n c"],
    known: Bool[Array, " n"],
    both: TwoStage | None,
    protocol: Protocol,
) -> ScoreTable:
    if protocol.score == PDMS_V1:
        summary = {SUMMARY_OF[PDMS][0]: column_means(columns[known])}
        whole = bool(known.all())
        return ScoreTable(kind=PDMS, token=token, valid=known, values=columns, summary=summary, summary_valid=whole)
    parts = [columns[known]] if both is None else [both.stage_one, both.stage_two, both.combined]
    return epdms_table(token, stage, columns, scored=known, means=[column_means(part) for part in parts])
