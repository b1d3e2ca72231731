"""What goes wrong outside of our code, made to happen: kills, damage, disks, hostile files, bombs.

    make faults                     every case, one line each, and totals
    python -m tests.faults damage   the cases of some kinds
    pytest tests/test_faults.py     the quick ones, as part of the test suite

Each module of `KINDS` has a function `cases()`. A case gets an empty folder, does a harmful thing,
and returns what was seen, in a few words ("C101, resumed at step 4"); it raises if a promise of
docs/explanation/reliability.md was broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

__all__ = ["KINDS", "Case", "Skipped", "all_cases"]

KINDS = (
    "killed_jobs", "network", "signals", "bombs", "kills", "damage", "disks", "hostile_models",
    "hostile_hub", "hostile_data", "hostile_recipes",
)  # fmt: skip
"""In the order in which they run: the longest cases first, so that both processes end together."""


class Skipped(Exception):
    """A case cannot be made on this machine."""


@dataclass(frozen=True, slots=True)
class Case:
    """One harmful thing.

    Attributes:
        name: what is done, unique within its kind.
        run: does it in an empty folder and returns what was seen; raises if a promise was broken.
        is_quick: whether it is part of the test suite too: well below a second each.
        seconds: limit of time; past it the case has failed.
    """

    name: str
    run: Callable[[Path], str]
    is_quick: bool = False
    seconds: float = 60.0


def all_cases(*kinds: str) -> Iterator[tuple[str, Case]]:
    """Every case of some kinds, of all if none is named."""
    for kind in kinds or KINDS:
        for case in import_module(f"tests.faults.{kind}").cases():
            yield kind, case
