"""Runs a function over many units, each exactly once, whatever crashes on the way.

Workers leave finished files aside; only this process puts them in place and then writes one row into the ledger.
Asked again, it does what the ledger does not hold. A unit that fails `attempts` times is set aside with its
traceback, and the run goes on.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from simscale.dataset.files import put_in_place
from simscale.engine.failures import Failure
from simscale.engine.ledger import Ledger, opened, orphans
from simscale.engine.pool import Outcome, Pool, pool_of
from simscale.engine.units import Finished, Json, Unit, Work

LEDGER = "ledger.sqlite"
UNFINISHED = "tmp"


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How to run; nothing in the result depends on it."""

    workers: int = 1
    attempts: int = 3  # before a unit is set aside
    allowed_failures: float = 0.0  # share of units that may be set aside in a run that counts as done


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is, told after every unit."""

    unit: Unit
    outcome: Finished | Failure
    done: int  # units, those of earlier runs and those set aside included
    total: int
    resumed: int  # units of earlier runs


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """What a run came to."""

    done: dict[str, Finished]  # by key of the unit, those of earlier runs included
    failures: tuple[Failure, ...]
    resumed: int  # units that an earlier run had done

    def succeeded(self, settings: RunSettings) -> bool:
        """Whether no more units were set aside than allowed."""
        total = len(self.done) + len(self.failures)
        return len(self.failures) <= settings.allowed_failures * total


def run(
    units: Sequence[Unit],
    work: Work,
    *,
    out: Path,
    folders: Sequence[str],
    configuration: Json,
    settings: RunSettings,
    on_done: Callable[[Progress], None] = lambda progress: None,
) -> RunReport:
    """Does all units that the ledger in `out` does not hold.

    Args:
        units: What to do; keys are unique.
        work: Does one unit.
        out: Folder of the run; made when absent.
        folders: Folders inside `out` that the files of units go to.
        configuration: All that the result depends on; a folder begun with another one is refused.
        settings: How to run.
        on_done: Told after every unit.

    Raises:
        BadInput: From the work, or a folder that another run holds or another configuration began.
        OSError: The disk is full, or `out` cannot be written.
    """
    keys = {unit.key for unit in units}
    assert len(keys) == len(units), "units must have keys of their own"
    with opened(out / LEDGER) as ledger:
        ledger.agree(configuration)
        done = {key: f for key, f in ledger.done().items() if key in keys and _in_place(f, out)}
        _tidy(out, folders, keys, done)
        book = _Book(units, done=done, ledger=ledger, out=out, settings=settings, on_done=on_done)
        with pool_of(work, out / UNFINISHED, workers=min(settings.workers, max(book.left, 1))) as pool:
            while book.left:
                book.hand_out(pool)
                for unit, outcome in pool.finished():
                    book.take_back(unit, outcome)
        _tidy(out, folders, keys, book.done)
        return RunReport(done=book.done, failures=tuple(book.failures), resumed=len(done))


def items_done(units: Sequence[Unit], out: Path) -> int:
    """How many items of these units an earlier run in `out` has done."""
    if not (out / LEDGER).is_file():
        return 0
    with opened(out / LEDGER) as ledger:
        done = ledger.done()
    return sum(len(unit.items) for unit in units if unit.key in done)


def _in_place(finished: Finished, out: Path) -> bool:
    """Whether the files that a unit left are still there; if not, it is done again."""
    paths = [(out / file.name, file.size) for file in finished.files]
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def _tidy(out: Path, folders: Sequence[str], keys: set[str], done: dict[str, Finished]) -> None:
    """Collects what a crash left: unfinished files, and finished ones without a row."""
    unfinished = sorted((out / UNFINISHED).iterdir()) if (out / UNFINISHED).is_dir() else []
    for path in [*unfinished, *orphans(out, folders, units=keys, done=done)]:
        path.unlink()


class _Book:
    """Which units wait, which are under suspicion, and what became of the rest."""

    def __init__(
        self,
        units: Sequence[Unit],
        *,
        done: dict[str, Finished],
        ledger: Ledger,
        out: Path,
        settings: RunSettings,
        on_done: Callable[[Progress], None],
    ):
        self.done, self.failures = dict(done), list[Failure]()
        self._total, self._resumed = len(units), len(done)
        self._ledger, self._out, self._settings, self._on_done = ledger, out, settings, on_done
        self._waiting = deque(unit for unit in units if unit.key not in done)
        self._suspects = deque[Unit]()  # in flight when a pool broke: run alone, so that it is known who breaks it
        self._flying = 0
        self._alone = False
        self._failed: dict[str, int] = {}

    @property
    def left(self) -> int:
        """Units without an end yet."""
        return self._total - len(self.done) - len(self.failures)

    def hand_out(self, pool: Pool) -> None:
        """Fills the pool; a suspect waits until the pool is empty and then has it to itself."""
        if self._alone or self._suspects:
            if self._flying == 0:
                self._alone = True
                self._submit(pool, self._suspects.popleft())
            return
        while self._waiting and pool.room > 0:
            self._submit(pool, self._waiting.popleft())

    def _submit(self, pool: Pool, unit: Unit) -> None:
        self._flying += 1
        pool.submit(unit)

    def take_back(self, unit: Unit, outcome: Outcome) -> None:
        """Commits a finished unit; a failed one waits for its next attempt or is set aside."""
        alone, self._alone = self._alone, False
        self._flying -= 1
        if isinstance(outcome, Finished):
            self._commit(unit, outcome)
        elif isinstance(outcome, Failure):
            self._retry(unit, outcome, self._waiting)
        elif alone:
            self._retry(unit, _killed(unit), self._suspects)
        else:
            self._suspects.append(unit)

    def _commit(self, unit: Unit, finished: Finished) -> None:
        for file in finished.files:
            put_in_place(file, self._out)
        self._ledger.commit(unit.key, finished)
        self.done[unit.key] = finished
        self._tell(unit, finished)

    def _retry(self, unit: Unit, failure: Failure, queue: deque[Unit]) -> None:
        attempts = self._failed[unit.key] = self._failed.get(unit.key, 0) + 1
        if attempts < self._settings.attempts:
            queue.append(unit)
            return
        failure = Failure(**{**vars(failure), "attempts": attempts})
        self.failures.append(failure)
        self._tell(unit, failure)

    def _tell(self, unit: Unit, outcome: Finished | Failure) -> None:
        done = len(self.done) + len(self.failures)
        self._on_done(Progress(unit=unit, outcome=outcome, done=done, total=self._total, resumed=self._resumed))


def _killed(unit: Unit) -> Failure:
    error = "the worker process died without a word (killed, out of memory, or crashed in native code)"
    return Failure(unit=unit.key, item="", step="", error=error, traceback="", attempts=1)
