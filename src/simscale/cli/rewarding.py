"""What `simscale rewards` does: tokens in, the scores of a whole vocabulary at each of them out.

A unit is a few dozen tokens of one log, or one pickle. Its files depend on the scene, the samples and the vocabulary
alone, so any number of workers, in any order, leaves the same bytes; an interrupted run goes on where it stopped.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from simscale import __version__
from simscale.dataset.files import sha256_of
from simscale.dataset.manifest import HISTORY, NEWEST, commit_manifest, entries_of, read_manifest
from simscale.dataset.rewards import FOLDERS, STAGE, TokenRewards, rewards_digest, write_rewards
from simscale.dataset.rewards_code import MODES, coded
from simscale.dataset.rewards_pickle import TOKEN_FILE, coded_columns, read_rewards_pickle, token_files
from simscale.dataset.rewards_tally import Tally, means_of
from simscale.dataset.sources import Source, instant_of, logged_sources, sample_at, sample_sources, scene_at
from simscale.dataset.vocabulary import Trajectories, read_trajectories
from simscale.engine.failures import Failure, during
from simscale.engine.ledger import opened
from simscale.engine.run import LEDGER, Progress, RunSettings, run
from simscale.engine.units import KEY_LENGTH, Finished, Unit, Work, key_of, units_of
from simscale.evaluate.rewarding import Rewarded, rewarded_log, rewarded_sample
from simscale.generate.place import centre_line_of
from simscale.scene import DT, BadInput, Plan
from simscale.scoring.vocabulary import ProgressMode

TOKENS_A_UNIT = 32
"""Tokens that are done, committed and, after a crash, done again as a whole: half a minute for 16,384 trajectories."""
UNKNOWN = "unknown"
"""Who drove, where a pickle does not say."""


@dataclass(frozen=True, kw_only=True)
class RewardsReport:
    """What a run came to; `as_json` is what `--json` prints."""

    vocabulary: str
    trajectories: int  # of the vocabulary
    progress: ProgressMode  # that the means below are of
    tokens: int
    by_driver: dict[str, dict[str, int | float]]  # tokens, and over them the means of `COLUMNS`, `best` and `forgiven`
    unexplained: int  # tokens of pickles whose total is not that of their sub-scores
    digest: str
    bytes: int
    failures: tuple[Failure, ...]
    resumed: int  # units that an earlier run had done
    tokens_per_second: float  # of this run alone

    def as_json(self) -> dict[str, Any]:
        """Counts, means and digest."""
        return {
            **{key: value for key, value in vars(self).items() if key not in ("failures", "resumed")},
            "bytes_a_token": round(self.bytes / max(self.tokens, 1)),
            "version": __version__,
            "failures": [asdict(failure) for failure in self.failures],
        }


@dataclass(frozen=True, kw_only=True)
class _Job:
    """Units, and how to do them."""

    units: list[Unit]
    work: Work
    progress: ProgressMode
    modes: tuple[ProgressMode, ...]
    configuration: dict[str, Any]
    inputs: tuple[dict[str, Any], ...]


def sources_of(folders: Sequence[Path], scenes: Sequence[Path] = ()) -> tuple[list[Source], tuple[str, ...]]:
    """Logs with their decision points, and datasets with their samples; and the logs that nothing can be scored in.

    Args:
        folders: Folders of scenes (or scene files), and datasets of `simscale generate`.
        scenes: Folders of the datasets' scenes, should they have moved.

    Returns:
        The sources with at least one item, and the ids of logs without a map.

    Raises:
        BadInput: Neither, as `logged_sources` and `sample_sources` have it, no log with a map, or a token that is in
            two of them.
    """
    datasets = [folder for folder in folders if (folder / HISTORY).is_dir()]
    for folder in datasets:
        if stage := read_manifest(folder).configuration.get("stage"):
            raise BadInput(folder, "stage", stage, "a dataset of simscale generate, or a folder of scenes")
    logs = [folder for folder in folders if folder not in datasets]
    logged = [source for source in (logged_sources(logs) if logs else []) if source.items]
    bare = [source.log for source in logged if len(scene_at(source.path, source.sha256).road) == 0]
    sources = [source for folder in datasets for source in sample_sources(folder, scenes)]
    sources += [source for source in logged if source.log not in bare]
    where = ", ".join(map(str, folders))
    if not sources:
        raise BadInput(
            where, "logs with a map", f"none ({', '.join(bare)})", "lanes and drivable area, which scores need"
        )
    token, times = Counter(item for source in sources for item in source.items).most_common(1)[0]
    if times > 1:
        raise BadInput(where, f"token {token}", f"in {times} of them", "tokens of their own")
    return sources, tuple(bare)


def scored_rewards(
    sources: Sequence[Source],
    out: Path,
    *,
    vocabulary: Path | None,
    progress: ProgressMode,
    workers: int = 1,
    on_start: Callable[[int, int], None] = lambda tokens, done: None,
    on_done: Callable[[int], None] = lambda tokens: None,
) -> RewardsReport:
    """Scores a vocabulary at every token.

    Args:
        sources: What `sources_of` gives.
        out: The folder; a run that finds one of its own there goes on with it.
        vocabulary: An `.npy` of trajectories; the package's own when absent.
        progress: What readers get who do not ask for one; both are stored.
        workers: Processes.
        on_start: Told the number of tokens, and of those that an earlier run had done.
        on_done: Told after every unit, with the tokens in it.

    Raises:
        BadInput: A bad vocabulary, or an `out` that holds something else.
    """
    words = read_trajectories(vocabulary)
    own = {"stage": STAGE, "version": __version__, "rules": "parity", "vocabulary": _named(words)}
    units, by_unit = [], {}
    for source in sources:
        made = units_of(
            source.items, size=TOKENS_A_UNIT, configuration=own | {"log": source.sha256, "of": source.digest}
        )
        units += made
        by_unit |= {unit.key: replace(source, items=()) for unit in made}
    rows = [{"log": s.log, "sha256": s.sha256, "path": str(s.path.resolve()), "dataset": s.digest} for s in sources]
    job = _Job(
        units=units,
        work=partial(_score, sources=by_unit, vocabulary=vocabulary),
        progress=progress,
        modes=MODES,
        configuration=own | {"logs": {f"{s.log} {s.digest}".strip(): s.sha256 for s in sources}},
        inputs=tuple(rows),
    )
    return _done(job, out, words, workers=workers, on_start=on_start, on_done=on_done)


def pickled_rewards(
    paths: Sequence[Path],
    out: Path,
    *,
    vocabulary: Path | None,
    progress: ProgressMode,
    workers: int = 1,
    on_start: Callable[[int, int], None] = lambda files, done: None,
    on_done: Callable[[int], None] = lambda files: None,
) -> RewardsReport:
    """Reads reward pickles in SimScale's form.

    Args:
        paths: Pickles of runs, or folders of `<token>/tmp.pkl`.
        out: As in `scored_rewards`.
        vocabulary: The one that they are for.
        progress: How progress was measured when they were made.
        workers: Processes.
        on_start: Told the number of files, and of those that an earlier run had read.
        on_done: Told after every unit, with the files in it.

    Raises:
        BadInput: No pickle, or one that is damaged, hostile, or for a vocabulary of another size.
    """
    words = read_trajectories(vocabulary)
    own = {"stage": STAGE, "version": __version__, "vocabulary": _named(words), "pickled": progress}
    units, digests = [], dict[str, str]()
    for path in paths:
        names = {str(file.resolve()): sha256_of(file) for file in _pickles_at(path)}
        digests |= names
        for group in units_of(list(names), size=TOKENS_A_UNIT, configuration={}):
            content = [_content_of(Path(name), names[name]) for name in group.items]
            units.append(replace(group, key=key_of([content, own])[:KEY_LENGTH]))
    key, times = Counter(unit.key for unit in units).most_common(1)[0]
    if times > 1:
        raise BadInput(
            next(unit.items[0] for unit in units if unit.key == key), "file", "given twice", "each pickle once"
        )
    job = _Job(
        units=units,
        work=partial(_read, size=len(words.poses), progress=progress),
        progress=progress,
        modes=(progress,),
        configuration=own | {"files": digests},
        inputs=tuple({"path": name, "sha256": digest} for name, digest in sorted(digests.items())),
    )
    return _done(job, out, words, workers=workers, on_start=on_start, on_done=on_done)


def _content_of(file: Path, sha256: str) -> str:
    """All that a file's rewards depend on: a token's own pickle has the token's name in its path alone."""
    return f"{file.parent.name}/{sha256}" if file.name == TOKEN_FILE else sha256


def _pickles_at(path: Path) -> list[Path]:
    if not path.exists():
        raise BadInput(path, "path", "missing", "a reward pickle, or a folder of them")
    found = token_files(path) if path.is_dir() else [path]
    if not found:
        raise BadInput(path, "folder", f"without a <token>/{TOKEN_FILE}", "reward pickles")
    return found


def _named(words: Trajectories) -> dict[str, Any]:
    return {"name": words.name, "sha256": words.sha256, "entries": len(words.poses)}


def _done(
    job: _Job,
    out: Path,
    words: Trajectories,
    *,
    workers: int,
    on_start: Callable[[int, int], None],
    on_done: Callable[[int], None],
) -> RewardsReport:
    if (out / NEWEST).exists():
        read_manifest(out)  # refuses a folder that is complete as something else
    on_start(sum(len(unit.items) for unit in job.units), _resumed(job, out))
    begun = time.monotonic()

    def told(progress: Progress) -> None:
        on_done(len(progress.unit.items))

    report = run(
        job.units,
        job.work,
        out=out,
        folders=FOLDERS,
        configuration=job.configuration,
        settings=RunSettings(workers=workers),
        on_done=told,
    )
    elapsed = time.monotonic() - begun
    tallies = [finished.summary for _, finished in sorted(report.done.items())]
    by_driver = means_of([tally for summary in tallies for tally in summary["tallies"]], job.progress)
    tokens = round(sum(means["tokens"] for means in by_driver.values()))
    fresh = tokens * (1 - report.resumed / max(len(report.done), 1))
    made = RewardsReport(
        vocabulary=words.name,
        trajectories=len(words.poses),
        progress=job.progress,
        tokens=tokens,
        by_driver=by_driver,
        unexplained=sum(summary["unexplained"] for summary in tallies),
        digest="" if report.failures else rewards_digest(out),
        bytes=sum(file.size for finished in report.done.values() for file in finished.files),
        failures=report.failures,
        resumed=report.resumed,
        tokens_per_second=round(fresh / max(elapsed, 1e-9), 3),
    )
    if not report.failures:
        commit_manifest(
            out,
            files=entries_of(file for finished in report.done.values() for file in finished.files),
            digest=made.digest,
            configuration={**job.configuration, "progress": job.progress, "modes": list(job.modes)},
            seed=0,  # nothing is drawn at random
            code_version=__version__,
            inputs=job.inputs,
            counts={
                key: value for key, value in made.as_json().items() if key not in ("tokens_per_second", "failures")
            },
        )
    return made


def _resumed(job: _Job, out: Path) -> int:
    """Tokens, or files, that an earlier run has done."""
    if not (out / LEDGER).is_file():
        return 0
    with opened(out / LEDGER) as ledger:
        done = ledger.done()
    return sum(len(unit.items) for unit in job.units if unit.key in done)


def _score(unit: Unit, unfinished: Path, *, sources: dict[str, Source], vocabulary: Path | None) -> Finished:
    """Scores the tokens of one unit and leaves its files in `unfinished`."""
    source, plans = sources[unit.key], _plans(vocabulary)
    made = []
    for item in unit.items:
        with during(item, "rewards"):
            made += [
                TokenRewards(token=one.token, log=source.log, driver=one.driver, coded=coded(one.scores, one.human))
                for one in _rewarded(source, item, plans)
            ]
    tally = Tally(size=len(plans.yaw), modes=MODES)
    files = write_rewards(unfinished, unit.key, tally.counted(made))
    return Finished(files=files, summary={"tallies": tally.rows, "unexplained": 0})


def _rewarded(source: Source, item: str, plans: Plan) -> Iterable[Rewarded]:
    scene = scene_at(source.path, source.sha256)
    line = _line_of(source.path, source.sha256)
    if source.dataset is None:
        return [rewarded_log(scene, instant_of(item), plans, line=line)]
    return rewarded_sample(scene, sample_at(source, item), plans, line=line)


def _read(unit: Unit, unfinished: Path, *, size: int, progress: ProgressMode) -> Finished:
    """Reads the pickles of one unit and leaves its files in `unfinished`."""
    tally, unexplained = Tally(size=size, modes=(progress,)), 0

    def read() -> Iterator[TokenRewards]:
        nonlocal unexplained
        for item in unit.items:
            for token, columns in read_rewards_pickle(Path(item)):
                row, explained = coded_columns(Path(item), token, columns, size=size)
                unexplained += not explained
                yield TokenRewards(token=token, log="", driver=UNKNOWN, coded=row)

    files = write_rewards(unfinished, unit.key, tally.counted(read()))
    return Finished(files=files, summary={"tallies": tally.rows, "unexplained": unexplained})


@lru_cache(maxsize=1)
def _plans(path: Path | None) -> Plan:
    poses = read_trajectories(path).poses
    return Plan(xy=poses[..., :2], yaw=poses[..., 2], dt=DT)


@lru_cache(maxsize=2)
def _line_of(path: Path, sha256: str) -> np.ndarray:
    return centre_line_of(scene_at(path, sha256))
