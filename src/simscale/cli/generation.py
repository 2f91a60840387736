"""What `simscale generate` does: scenes in, a dataset of samples out, with what was rejected and why.

A unit is a few decision points of one log. Its samples depend on the scene, the settings, the vocabulary and the seed
alone, so any number of workers, in any order, leaves the same bytes; an interrupted run goes on where it stopped.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

from simscale import __version__
from simscale.dataset.files import sha256_of
from simscale.dataset.manifest import NEWEST, commit_manifest, entries_of, read_manifest
from simscale.dataset.shards import FOLDERS, digest_of, write_unit
from simscale.dataset.vocabulary import read_vocabulary
from simscale.engine.failures import Failure, during
from simscale.engine.run import Progress, RunSettings, run
from simscale.engine.units import Finished, Unit, units_of
from simscale.generate.counts import Counts, total
from simscale.generate.place import token_instants, token_name
from simscale.generate.sample import HORIZON, ROLLOUT_LENGTH
from simscale.generate.settings import GenerateSettings, check_settings
from simscale.generate.token import Generated, PreparedLog, generate_token, prepare
from simscale.perturb.vocabulary import Vocabulary
from simscale.scene import DT, BadInput
from simscale.scene.file import read_scene, scene_files

TOKENS_A_UNIT = 5
"""Decision points that are done, committed and, after a crash, done again as a whole: a few seconds of work."""


@dataclass(frozen=True, kw_only=True)
class Log:
    """A scene file and the decision points in it."""

    path: Path
    id: str
    instants: tuple[int, ...]  # none where the log is too short, or has no map
    seconds: float
    has_map: bool
    sha256: str


@dataclass(frozen=True, kw_only=True)
class GenerateReport:
    """What a run came to; `as_json` is what `--json` prints."""

    counts: Counts
    moving: Counts
    by_log: dict[str, Counts]
    too_short: dict[str, float]  # logs with a map and without a decision point -> seconds
    without_map: tuple[str, ...]  # logs that nothing can be scored in
    tokens: int
    dropped_tracks: int
    digest: str
    attempted_per_second: float  # of this run alone; resumed units do not count
    seed: int
    failures: tuple[Failure, ...]
    resumed: int  # units that an earlier run had done

    def as_json(self) -> dict[str, Any]:
        """Counts pooled, for moving tokens alone, and per log; see style.md for the keys that others rely on."""
        return {
            **self.counts.as_json(),
            "moving": self.moving.as_json(),
            "logs": {log: counts.as_json() for log, counts in self.by_log.items()},
            "too_short": self.too_short,
            "without_map": list(self.without_map),
            "tokens": self.tokens,
            "dropped_tracks": self.dropped_tracks,
            "digest": self.digest,
            "attempted_per_second": round(self.attempted_per_second, 3),
            "version": __version__,
            "seed": self.seed,
            "failures": [asdict(failure) for failure in self.failures],
        }


def logs_of(folders: Sequence[Path], settings: GenerateSettings) -> list[Log]:
    """All logs of some scene folders (or files), sorted by id; each is read whole, so that a bad one is refused now.

    Raises:
        BadInput: A folder without scenes, a damaged scene, or two with one id.
    """
    logs: dict[str, Log] = {}
    for path in [path for folder in folders for path in scene_files(folder)]:
        log = _log(path, settings)
        if log.id in logs and logs[log.id].sha256 != log.sha256:
            raise BadInput(path, "id", repr(log.id), f"an id of its own ({logs[log.id].path} has it too)")
        logs.setdefault(log.id, log)
    return [logs[name] for name in sorted(logs)]


def _log(path: Path, settings: GenerateSettings) -> Log:
    scene = read_scene(path)
    has_map = len(scene.road) > 0
    return Log(
        path=path,
        id=scene.id,
        instants=tuple(token_instants(scene, settings)) if has_map else (),
        seconds=round((len(scene) - 1) * scene.dt, 1),
        has_map=has_map,
        sha256=sha256_of(path),
    )


def _check_any_usable(logs: Sequence[Log], folders: Sequence[Path], settings: GenerateSettings) -> None:
    if any(log.instants for log in logs):
        return
    longest = max((log.seconds for log in logs if log.has_map), default=0.0)
    without_map = ", ".join(log.id for log in logs if not log.has_map)
    needed = settings.history + (HORIZON + ROLLOUT_LENGTH - 1) * DT
    raise BadInput(
        ", ".join(str(folder) for folder in folders),
        "length of the longest log with a map",
        f"{longest:.1f} s" + (f" (without a map: {without_map})" if without_map else ""),
        f"{needed:.1f} s, which one decision point needs",
    )


def generate(
    folders: Sequence[Path],
    out: Path,
    *,
    settings: GenerateSettings,
    vocabulary: Path | None = None,
    workers: int = 1,
    on_start: Callable[[int, int], None] = lambda tokens, done: None,
    on_done: Callable[[Progress, int], None] = lambda progress, tokens: None,
) -> GenerateReport:
    """Generates samples from every decision point of some scenes.

    Args:
        folders: Folders of scene files, or scene files.
        out: The dataset's folder; a run that finds one of its own there goes on with it.
        settings: What to generate.
        vocabulary: An `.npy` of trajectories; the package's own when absent.
        workers: Processes.
        on_start: Told the number of tokens, and of those that an earlier run had done.
        on_done: Told after every unit, with the tokens in it.

    Raises:
        BadInput: Bad settings or input, no log with a decision point, or an `out` that holds something else.
    """
    check_settings(settings)
    if (out / NEWEST).exists():
        read_manifest(out)  # refuses a folder that is complete as something else
    words = read_vocabulary(vocabulary)
    logs = logs_of(folders, settings)
    _check_any_usable(logs, folders, settings)
    configuration = _configuration(settings, words, logs)
    units = [unit for log in logs if log.instants for unit in _units(log, configuration)]
    settings_of_run = RunSettings(workers=workers)
    work = partial(_work, paths={log.id: log.path for log in logs}, vocabulary=vocabulary, settings=settings)
    begun = time.monotonic()
    on_start(sum(len(unit.items) for unit in units), 0)
    report = run(
        units,
        work,
        out=out,
        folders=FOLDERS,
        configuration=configuration,
        settings=settings_of_run,
        on_done=lambda progress: on_done(progress, len(progress.unit.items)),
    )
    elapsed = time.monotonic() - begun
    made = _report(logs, units, report.done, failures=report.failures, resumed=report.resumed, settings=settings)
    fresh = made.counts.rounds * (1 - report.resumed / max(len(report.done), 1))
    made = replace(made, digest=digest_of(out), attempted_per_second=fresh / max(elapsed, 1e-9))
    if not report.failures:
        commit_manifest(
            out,
            files=entries_of(file for finished in report.done.values() for file in finished.files),
            digest=made.digest,
            configuration=configuration["settings"] | {"vocabulary": configuration["vocabulary"]},
            seed=settings.seed,
            code_version=__version__,
            inputs=tuple({"log": log.id, "sha256": log.sha256, "path": str(log.path.resolve())} for log in logs),
            counts={key: value for key, value in made.as_json().items() if key != "attempted_per_second"},
        )
    return made


def _configuration(settings: GenerateSettings, vocabulary: Vocabulary, logs: Sequence[Log]) -> dict[str, Any]:
    """All that the samples depend on."""
    return {
        "stage": "generate",
        "version": __version__,
        "settings": asdict(settings) | {"perturb": asdict(settings.perturb)},
        "vocabulary": {"name": vocabulary.name, "sha256": vocabulary.sha256, "entries": len(vocabulary.row)},
        "logs": {log.id: log.sha256 for log in logs},
    }


def _units(log: Log, configuration: dict[str, Any]) -> list[Unit]:
    """A log's decision points in units whose keys do not depend on the other logs of the run."""
    own = {**configuration, "logs": {log.id: log.sha256}}
    return units_of([token_name(log.id, t0) for t0 in log.instants], size=TOKENS_A_UNIT, configuration=own)


def _work(
    unit: Unit, unfinished: Path, *, paths: dict[str, Path], vocabulary: Path | None, settings: GenerateSettings
) -> Finished:
    """Generates the samples of one unit and leaves its files in `unfinished`."""
    made: list[Generated] = []
    words = _vocabulary(vocabulary)
    for log, tokens in groupby(unit.items, key=lambda token: token.rpartition("-t")[0]):
        ready = _prepared(paths[log], settings)
        for token in tokens:
            with during(token, "generate"):
                made.append(generate_token(ready, int(token.rpartition("-t")[2]), words, settings))
    samples = [sample for part in made for sample in part.samples]
    rejections = [rejection for part in made for rejection in part.rejections]
    summary = {
        "log": unit.items[0].rpartition("-t")[0],
        "moving": total(part.moving for part in made).as_json(),
        "standing": total(part.standing for part in made).as_json(),
        "dropped_tracks": sum(part.dropped_tracks for part in made),
    }
    return Finished(files=write_unit(unfinished, unit.key, samples, rejections).files, summary=summary)


@lru_cache(maxsize=2)
def _prepared(path: Path, settings: GenerateSettings) -> PreparedLog:
    return prepare(read_scene(path), settings)


@lru_cache(maxsize=1)
def _vocabulary(path: Path | None) -> Vocabulary:
    return read_vocabulary(path)


def _report(
    logs: Sequence[Log],
    units: Sequence[Unit],
    done: dict[str, Finished],
    *,
    failures: tuple[Failure, ...],
    resumed: int,
    settings: GenerateSettings,
) -> GenerateReport:
    summaries = [done[unit.key].summary for unit in units if unit.key in done]
    moving = [Counts.from_json(summary["moving"]) for summary in summaries]
    standing = [Counts.from_json(summary["standing"]) for summary in summaries]
    by_log: dict[str, list[Counts]] = {log.id: [] for log in logs if log.instants}
    for summary, *parts in zip(summaries, moving, standing, strict=True):
        by_log[summary["log"]] += parts
    return GenerateReport(
        counts=total(moving + standing),
        moving=total(moving),
        by_log={log: total(parts) for log, parts in by_log.items()},
        too_short={log.id: log.seconds for log in logs if log.has_map and not log.instants},
        without_map=tuple(log.id for log in logs if not log.has_map),
        tokens=sum(len(log.instants) for log in logs),
        dropped_tracks=sum(summary["dropped_tracks"] for summary in summaries),
        digest="",
        attempted_per_second=0.0,
        seed=settings.seed,
        failures=failures,
        resumed=resumed,
    )
