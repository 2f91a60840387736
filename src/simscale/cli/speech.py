"""How commands speak: words on stderr, numbers as one JSON object on the last line of stdout."""

import json
import sys
from typing import Any


def say(words: str) -> None:
    """A line for people."""
    print(words, file=sys.stderr, flush=True)


def give(numbers: dict[str, Any]) -> None:
    """The last line of stdout, for programs."""
    print(json.dumps(numbers), flush=True)
