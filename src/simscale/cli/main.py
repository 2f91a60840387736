"""Reads the command line, runs the command, and turns what goes wrong into one sentence and an exit code.

0 done; 1 a check or a share of failures says no; 2 bad input or usage; 130 interrupted, and the same command goes on.
"""

import errno
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from simscale import __version__
from simscale.cli.commands import Command, Generate, Parsed, Reconstruct, Render, Rewards, Score, Train
from simscale.cli.speech import say

DONE, REFUSED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of `simscale`; ends the process."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments == ["--version"]:
        print(__version__)
        sys.exit(DONE)
    try:
        command = parsed(arguments or ["--help"])
    except KeyboardInterrupt:  # before there was anything to go on with
        sys.exit(INTERRUPTED)
    code = exit_code_of(command, runner_of(command))
    sys.stdout.flush()
    sys.exit(code)


def parsed(arguments: Sequence[str]) -> Command:
    """The command that was asked for; bad usage ends the process with 2."""
    import tyro

    return tyro.cli(
        Parsed,  # type: ignore[arg-type]
        prog="simscale",
        description="Reactive, simulated training data from driving logs.",
        args=arguments,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def runner_of(command: Command) -> Callable[[], int]:
    """What runs a command: `run` in the file of this room that has its name, imported only now."""
    name = type(command).__name__.lower()
    return lambda: import_module(f"simscale.cli.{name}").run(command)


def exit_code_of(command: Command, run: Callable[[], int]) -> int:
    """Runs a command; nothing but `--debug` lets a traceback through."""
    try:
        return run()
    except KeyboardInterrupt:
        resumes = isinstance(command, Generate | Reconstruct | Render | Rewards | Score | Train)
        say(f"interrupted; {'the same command goes on where it stopped' if resumes else 'run the same command again'}")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if command.debug:
            raise
        say(f"simscale: {sentence_of(error, command)}")
        return BAD_INPUT if is_bad_input(error) else REFUSED


def is_bad_input(error: Exception) -> bool:
    """Whether the input, the disk or the usage is to blame, rather than us."""
    from simscale.scene import BadInput

    return isinstance(error, BadInput | OSError) or _finds_no_cache(error)


def sentence_of(error: Exception, command: Command) -> str:
    """One line that says what went wrong and, where it can, what to do."""
    if isinstance(error, OSError):
        where = error.filename or getattr(command, "out", "")
        what = (error.strerror or str(error)) + (", and is no folder" if isinstance(error, FileExistsError) else "")
        hint = "; free some space, then the same command goes on where it stopped" if _is_full(error) else ""
        return f"{where}: {what}{hint}" if where else f"{what}{hint}"
    if _finds_no_cache(error):
        return "no folder for compiled code can be written; set NUMBA_CACHE_DIR to one that can"
    if is_bad_input(error):
        return str(error)
    words = " ".join(str(error).split())
    return f"a fault of ours, please report it: {type(error).__name__}: {words} (--debug shows where)"


def _finds_no_cache(error: Exception) -> bool:
    """Numba's words where neither the package nor the user's home can be written."""
    return isinstance(error, RuntimeError) and "no locator available" in str(error)


def _is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
