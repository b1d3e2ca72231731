"""Hostile files read by `tunesmith check`: CPU seconds and peak memory, each in a fresh process.

PYTHONPATH=. python benchmarks/bombs.py                                     this version
PYTHONPATH=. python benchmarks/bombs.py --source OLD/src --name before      another

Each process may take 6 GB of address space and 20 seconds of CPU, or wait for 120 seconds in all;
what needs more is stopped. CPU seconds tell much the same on a machine that others use.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from machine import facts
from tests.faults.bombs import BOMBS

RESULT = Path(__file__).parent / "results" / "bombs.json"
MOST_BYTES = 6 << 30
MOST_SECONDS = 20
MOST_WAIT_SECONDS = 120.0
COMMAND = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({MOST_BYTES}, {MOST_BYTES}))
resource.setrlimit(resource.RLIMIT_CPU, ({MOST_SECONDS}, {MOST_SECONDS}))
from tunesmith.cli import main
sys.exit(main(sys.argv[1:]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="src", help="the folder that holds the package")
    parser.add_argument("--name", default="after", help="what the result calls it")
    parser.add_argument("--only", default="", help="names with commas between them")
    arguments = parser.parse_args()
    result = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    result["machine"] = facts()
    figures = result.setdefault(arguments.name, {})
    for make in BOMBS:
        if not arguments.only or make.__name__ in arguments.only.split(","):
            with tempfile.TemporaryDirectory() as folder:
                path = make(Path(folder))
                size = path.stat().st_size if path.is_file() else None
                figure = measured(path, Path(arguments.source).resolve())
            figures[make.__name__] = {"what": make.__doc__, "bytes": size, **figure}
            print(f"{make.__name__:28} {figure}", flush=True)
            RESULT.write_text(json.dumps(result, indent=1) + "\n")


def measured(path: Path, source: Path) -> dict[str, object]:
    """Exit code, reported codes, CPU seconds and peak megabytes of one check."""
    words = [sys.executable, "-c", COMMAND, "check", str(path), "--model", "embedded:mini"]
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(words, stdout=said, stderr=said, env=environment)
        waiting = threading.Timer(MOST_WAIT_SECONDS, process.kill)  # for who reads a pipe
        waiting.start()
        _process, status, usage = os.wait4(process.pid, 0)
        waiting.cancel()
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "exit_code": process.returncode,
        "codes": sorted(set(re.findall(r"\b[A-Z]\d{3}\b", text))),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": usage.ru_maxrss >> 10,
        "is_stopped": process.returncode in (-signal.SIGXCPU, -signal.SIGKILL),
    }


if __name__ == "__main__":
    main()
