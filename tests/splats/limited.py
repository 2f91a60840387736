"""Readers under limits of memory and time, in a process of their own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SECONDS = 1.0
"""Of processor time for each file: the wall clock of a busy machine says nothing."""
MEGABYTES = 512
"""Above what Python and torch take before the first file."""

SCRIPT = """
import json, resource, sys, time
from importlib import import_module
from pathlib import Path
from simscale.scene import BadInput
module, name, seconds, megabytes = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
read = getattr(import_module(module), name)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = used + (megabytes << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
slow = []
for path in json.loads(sys.stdin.read()):
    began = time.process_time()
    try:
        read(Path(path))
    except BadInput:
        pass
    else:
        slow.append(f"{path} was read")
    if time.process_time() - began > seconds:
        slow.append(f"{path} took {time.process_time() - began:.2f} s")
print(json.dumps(slow))
"""


def refused_in_limits(module: str, name: str, paths: Sequence[Path]) -> None:
    """Every file is refused with `BadInput` within SECONDS and MEGABYTES."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, module, name, str(SECONDS), str(MEGABYTES)],
        input=json.dumps([str(path) for path in paths]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == []
