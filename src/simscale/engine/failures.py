"""Failures: what is known about a unit that could not be done."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A unit that was set aside, with the last thing that went wrong."""

    unit: str
    item: str  # the item at hand, usually a scene; empty where unknown
    step: str  # what was being done; empty where unknown
    error: str  # one line
    traceback: str
    attempts: int


@contextmanager
def during(item: str, step: str) -> Iterator[None]:
    """Names the item and the step at hand, should something fail inside; the innermost names win."""
    try:
        yield
    except Exception as error:
        if not hasattr(error, "during"):
            error.during = (item, step)  # type: ignore[attr-defined]
        raise


def failure_of(unit: str, error: BaseException, *, attempts: int = 1) -> Failure:
    """What is known about an error."""
    item, step = getattr(error, "during", ("", ""))
    return Failure(
        unit=unit,
        item=item,
        step=step,
        error=f"{type(error).__name__}: {error}".splitlines()[0],
        traceback="".join(traceback.format_exception(error)),
        attempts=attempts,
    )
