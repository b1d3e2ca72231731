"""Run the faults in two processes: a line per case, totals at the end, exit 1 if one failed."""

from __future__ import annotations

import argparse
import faulthandler
import json
import multiprocessing
import os
import platform
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from tests.faults import KINDS, Case, Skipped, all_cases


class Result(NamedTuple):
    """How a case ended.

    Attributes:
        kind: one of `KINDS`.
        name: of the case.
        is_held: whether every promise was by_kind.
        seen: by the case, in a few words, or the error that it raised.
        seconds: of the clock.
        cpu_seconds: of this process and of the children that it has waited for.
    """

    kind: str
    name: str
    is_held: bool
    seen: str
    seconds: float
    cpu_seconds: float


class Overtime(BaseException):
    """A case took too long; not an Exception, for these are handled where a disk may fail."""


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise `Overtime` in this process after some seconds."""

    def stop(_number: int, _frame: object) -> None:
        raise Overtime(f"longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_case(kind: str, case: Case) -> Result:
    started, cpu_started = time.monotonic(), cpu_seconds()
    with tempfile.TemporaryDirectory(prefix="fault-", ignore_cleanup_errors=True) as folder:
        home = Path.cwd()
        os.chdir(folder)
        try:
            with limit(case.seconds):
                seen, is_held = case.run(Path(folder)), True
        except Skipped as reason:
            seen, is_held = f"skipped: {reason}", True
        except (Exception, Overtime) as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            seen, is_held = f"{type(error).__name__} at {where}: {error}", False
        finally:
            os.chdir(home)
    seen = " ".join(seen.split())[: int(os.environ.get("FAULTS_WIDTH", "160"))]
    seconds, cpu = time.monotonic() - started, cpu_seconds() - cpu_started
    return Result(kind, case.name, is_held, seen, seconds, cpu)


def cpu_seconds() -> float:
    """What this process has used, and its children that have ended."""
    return sum(os.times()[:4])


def _run_numbered(argument: tuple[tuple[str, ...], int]) -> Result:
    kinds, number = argument
    kind, case = _cases(kinds)[number]
    return run_case(kind, case)


_LISTED: dict[tuple[str, ...], list[tuple[str, Case]]] = {}


def _cases(kinds: tuple[str, ...]) -> list[tuple[str, Case]]:
    if kinds not in _LISTED:
        _LISTED[kinds] = list(all_cases(*kinds))
    return _LISTED[kinds]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--results", type=Path, help="a JSON file to write totals into, by kind")
    arguments = parser.parse_args()
    faulthandler.enable()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    kinds = tuple(arguments.kinds)
    numbers = [i for i, (_kind, c) in enumerate(_cases(kinds)) if arguments.only in c.name]
    started, results = time.monotonic(), list[Result]()
    with tempfile.TemporaryDirectory(prefix="fault-cache-") as cache:
        os.environ["TUNESMITH_CACHE"] = cache
        os.environ["TMPDIR"] = cache  # of the workers: what they leave goes with it
        context = multiprocessing.get_context("spawn")
        with context.Pool(arguments.processes) as pool:
            work = ((kinds, number) for number in numbers)
            run = import_module(
                "tests.faults.__main__"
            )._run_numbered  # by a name workers can import
            for result in pool.imap_unordered(run, work):
                results.append(result)
                word = "held  " if result.is_held else "FAILED"
                print(
                    f"{word} {result.kind:16} {result.name:60} {result.seconds:6.1f} s "
                    f"{result.cpu_seconds:6.1f} s of CPU  {result.seen}",
                    flush=True,
                )
            pool.close()
            pool.join()
    print()
    for kind in KINDS:
        if of_kind := [result for result in results if result.kind == kind]:
            print(totals(kind, of_kind))
    print(
        f"{totals('all', results)}, {cpu_seconds():.0f} s with loading, "
        f"in {time.monotonic() - started:.0f} s"
    )
    if arguments.results:
        write_results(arguments.results, results, time.monotonic() - started)
    return 0 if results and all(result.is_held for result in results) else 1


def write_results(path: Path, results: list[Result], seconds: float) -> None:
    """Write the totals of each kind into a file; kinds that did not run now stay as they are."""
    import torch
    import transformers

    import tunesmith

    by_kind = json.loads(path.read_text()) if path.exists() else {}
    for kind in KINDS:
        of_kind = [result for result in results if result.kind == kind]
        if not of_kind:
            continue
        skipped = sum(result.seen.startswith("skipped: ") for result in of_kind)
        by_kind[kind] = {
            "cases": len(of_kind),
            "held": sum(result.is_held for result in of_kind) - skipped,
            "skipped": skipped,
            "failed": [result.name for result in of_kind if not result.is_held],
            "runs": 1,
            "cpu_seconds": round(sum(result.cpu_seconds for result in of_kind)),
            "date": time.strftime("%Y-%m-%d"),
            "command": f"python -m tests.faults {kind}",
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__.partition("+")[0],
                "transformers": transformers.__version__,
                "tunesmith": tunesmith.__version__,
            },
        }
    in_order = {kind: by_kind[kind] for kind in KINDS if kind in by_kind}
    path.write_text(json.dumps(in_order, indent=1) + "\n")
    print(f"{path}: written after {seconds:.0f} s")


def totals(name: str, results: list[Result]) -> str:
    """One line: how many cases were held and failed, and what they cost."""
    held = sum(result.is_held for result in results)
    cpu = sum(result.cpu_seconds for result in results)
    return (
        f"{name:16} {len(results):5} cases  {held:5} held  {len(results) - held:4} failed  "
        f"{cpu:6.0f} s of CPU"
    )


if __name__ == "__main__":
    sys.exit(main())
