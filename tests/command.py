"""The command line as a user calls it: in this process where only words and codes count, else in one of its own."""

import json
import subprocess
import sys

from simscale.cli.main import main

SIMSCALE = (sys.executable, "-c", "from simscale.cli import main; main()")


def code_of(*arguments: object) -> int:
    """Exit code of a command that runs here; pytest's capsys has its words."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ended:
        return int(ended.code or 0)
    raise AssertionError("the command line did not end")


def asked(*arguments: object) -> subprocess.CompletedProcess:
    """Runs a command in a process of its own, to its end."""
    return subprocess.run([*SIMSCALE, *map(str, arguments)], capture_output=True, text=True, timeout=300)


def begun(*arguments: object) -> subprocess.Popen:
    """Starts a command as the leader of a process group of its own."""
    command = [*SIMSCALE, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def told(stdout: str) -> dict:
    """The JSON object on the last line."""
    return json.loads(stdout.splitlines()[-1])
