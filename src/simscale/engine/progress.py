"""How far a long command is, on stderr: a bar with rate and time left, or plain lines where nobody watches."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol, runtime_checkable

PLAIN_EVERY = 10.0
"""Seconds between two plain lines."""


@runtime_checkable
class Advance(Protocol):
    """Tells that `amount` more is done, and what is worth saying about it."""

    def __call__(self, amount: int, words: str = "") -> None:
        """Moves on."""
        ...


@contextmanager
def progress(label: str, *, total: int, noun: str, done: int = 0) -> Iterator[Advance]:
    """Shows progress on stderr while the block runs.

    Args:
        label: What is being done.
        total: How much there is.
        noun: What is counted, in the plural.
        done: How much an earlier run has done; it does not count in the rate.
    """
    shown = _bar if sys.stderr.isatty() else _lines
    with shown(label, total, noun, done) as advance:
        yield advance


class LateProgress:
    """Progress whose total is known only once the work has begun; a context that takes the bar away in the end."""

    def __init__(self, label: str, *, noun: str):
        """As `progress`, without the total."""
        self._label, self._noun = label, noun
        self._open = ExitStack()
        self._advance: Advance | None = None

    def __enter__(self) -> "LateProgress":
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def start(self, total: int, done: int) -> None:
        """Begins the bar."""
        self._advance = self._open.enter_context(progress(self._label, total=total, noun=self._noun, done=done))

    def advance(self, amount: int, words: str = "") -> None:
        """Moves it."""
        assert self._advance is not None, "the bar has not begun"
        self._advance(amount, words)


@contextmanager
def _bar(label: str, total: int, noun: str, done: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(noun),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total, completed=done, words="", rate="")
        began = time.monotonic()
        at = done

        def advance(amount: int, words: str = "") -> None:
            nonlocal at
            at += amount
            bar.update(task, completed=at, words=words, rate=_rate(at - done, time.monotonic() - began))

        yield advance


@contextmanager
def _lines(label: str, total: int, noun: str, done: int) -> Iterator[Advance]:
    began = said = time.monotonic()
    at = done

    def advance(amount: int, words: str = "") -> None:
        nonlocal at, said
        at += amount
        now = time.monotonic()
        if now - said < PLAIN_EVERY and at < total:
            return
        said = now
        left = (total - at) * (now - began) / max(at - done, 1)
        about = f", {_rate(at - done, now - began)}, {_duration(left)} left" if at < total else ""
        print(f"{label}: {at}/{total} {noun}{about}{', ' if words else ''}{words}", file=sys.stderr, flush=True)

    yield advance


def _rate(amount: int, seconds: float) -> str:
    return f"{amount / max(seconds, 1e-9):.2f}/s"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
