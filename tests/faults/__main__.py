"""Run the faults in two processes: a line per case, totals at the end, exit 1 if one failed."""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from tests.faults import KINDS, Case, all_cases

Result = tuple[str, str, bool, str, float]
"""Kind, name, whether the promises held, what was seen, seconds."""


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
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fault-", ignore_cleanup_errors=True) as folder:
        home = Path.cwd()
        os.chdir(folder)
        try:
            with limit(case.seconds):
                seen, held = case.run(Path(folder)), True
        except (Exception, Overtime) as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            seen, held = f"{type(error).__name__} at {where}: {error}", False
        finally:
            os.chdir(home)
    return kind, case.name, held, " ".join(seen.split())[:160], time.monotonic() - started


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
    arguments = parser.parse_args()
    faulthandler.enable()
    kinds = tuple(arguments.kinds)
    numbers = [i for i, (_kind, c) in enumerate(_cases(kinds)) if arguments.only in c.name]
    started, held, failed = time.monotonic(), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="fault-cache-") as cache:
        os.environ["TUNESMITH_CACHE"] = cache
        context = multiprocessing.get_context("spawn")
        with context.Pool(arguments.processes) as pool:
            work = ((kinds, number) for number in numbers)
            run = import_module(
                "tests.faults.__main__"
            )._run_numbered  # by a name workers can import
            for kind, name, is_held, seen, seconds in pool.imap_unordered(run, work):
                (held if is_held else failed)[kind] += 1
                word = "held  " if is_held else "FAILED"
                print(f"{word} {kind:16} {name:60} {seconds:6.1f} s  {seen}", flush=True)
    print()
    for kind in KINDS:
        if held[kind] or failed[kind]:
            print(f"{kind:16} {held[kind]:4} held  {failed[kind]:4} failed")
    total = held.total() + failed.total()
    print(
        f"{'all':16} {held.total():4} held  {failed.total():4} failed  of {total} cases "
        f"in {time.monotonic() - started:.0f} s"
    )
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
