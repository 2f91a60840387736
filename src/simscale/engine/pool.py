"""Where units run: in this process, or in a pool of workers that is rebuilt when one of them dies."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from simscale.engine.failures import Failure, failure_of
from simscale.engine.units import Finished, Unit, Work
from simscale.scene import BadInput


@dataclass(frozen=True, kw_only=True)
class Broken:
    """The process that held a unit died; which of the units in flight killed it is not known."""


Outcome = Finished | Failure | Broken


@runtime_checkable
class Pool(Protocol):
    """Takes units and tells what became of them, in any order."""

    @property
    def room(self) -> int:
        """How many more units it takes now."""
        ...

    def submit(self, unit: Unit) -> None:
        """Begins a unit."""
        ...

    def finished(self) -> list[tuple[Unit, Outcome]]:
        """Waits until something is known; what was submitted comes back exactly once.

        Raises:
            BadInput: Raised by the work itself: no use in trying again.
            OSError: The same: a full disk, a folder that cannot be written.
        """
        ...


def attempt(work: Work, unit: Unit, unfinished: Path) -> Finished | Failure:
    """Does a unit. Bad input and the disk's refusals come out as themselves, all else as a failure."""
    try:
        return work(unit, unfinished)
    except (BadInput, OSError):
        raise
    except Exception as error:
        return failure_of(unit.key, error)


class InProcess:
    """Runs units here, one after another: no start-up, and a debugger sees everything."""

    def __init__(self, work: Work, unfinished: Path):
        self._work, self._unfinished = work, unfinished
        self._waiting: list[Unit] = []

    @property
    def room(self) -> int:
        """One unit at a time."""
        return 1 - len(self._waiting)

    def submit(self, unit: Unit) -> None:
        """Takes a unit; it runs when its outcome is asked for."""
        self._waiting.append(unit)

    def finished(self) -> list[tuple[Unit, Outcome]]:
        """Runs what was taken."""
        units, self._waiting = self._waiting, []
        return [(unit, attempt(self._work, unit, self._unfinished)) for unit in units]


class Workers:
    """A pool of processes with at most two units a worker in flight."""

    def __init__(self, work: Work, unfinished: Path, workers: int):
        self._work, self._unfinished, self._workers = work, unfinished, workers
        self._flying: dict[Future, Unit] = {}
        self._executor: ProcessPoolExecutor | None = None

    @property
    def room(self) -> int:
        """Free places."""
        return 2 * self._workers - len(self._flying)

    def submit(self, unit: Unit) -> None:
        """Begins a unit; a pool whose idle worker was killed shows it only here, and is rebuilt."""
        try:
            future = self._begun(unit)
        except BrokenProcessPool:
            if self._flying:  # their outcome is told by `finished`; this one goes down with them
                future = Future()
                future.set_exception(BrokenProcessPool())
            else:
                self.close()
                future = self._begun(unit)
        self._flying[future] = unit

    def _begun(self, unit: Unit) -> Future:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self._workers, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare_worker
            )
        with _interrupts_held():  # workers start here, and inherit it until they are ready
            return self._executor.submit(attempt, self._work, unit, self._unfinished)

    def finished(self) -> list[tuple[Unit, Outcome]]:
        """Waits for the first outcomes; a broken pool gives all its units back at once."""
        ready, _ = wait(self._flying, return_when=FIRST_COMPLETED)
        if any(isinstance(future.exception(), BrokenProcessPool) for future in ready):
            self.close()
            ready = set(self._flying)
        return [(self._flying.pop(future), _outcome(future)) for future in ready]

    def close(self) -> None:
        """Ends the workers, whatever they are doing."""
        if self._executor is None:
            return
        processes = list((self._executor._processes or {}).values())  # there is no public way to end them
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        self._executor = None


def _outcome(future: Future) -> Outcome:
    if not future.done() or future.cancelled() or isinstance(future.exception(), BrokenProcessPool):
        return Broken()
    return future.result()


@contextmanager
def pool_of(work: Work, unfinished: Path, *, workers: int) -> Iterator[Pool]:
    """A pool of this many workers; one worker is this process itself."""
    if workers == 1:
        yield InProcess(work, unfinished)
        return
    pool = Workers(work, unfinished, workers)
    try:
        yield pool
    finally:
        pool.close()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker() -> None:
    """Leaves interrupts to the coordinator, and follows it when it dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
