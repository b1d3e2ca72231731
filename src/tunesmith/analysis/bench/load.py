"""What other processes take of the machine while contenders are timed, and which turns that spoils.

A round is one turn of each contender. A turn is disturbed if other processes used the CPUs during
it, or if a CPU was slower than in other turns of the same contender, as on a virtual machine whose
host is busy. Rounds with a disturbed turn are repeated, within reason, and not counted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from tunesmith.analysis.bench.contenders import Turn

__all__ = ["Bystanders", "Load", "calm_rounds", "load_of", "repeats"]

_LEAST_SPEED = 0.7
"""Of a CPU, compared with the fastest turn of a contender."""

_LEAST_SHOWN = 0.05
"""CPUs of a process that is named."""

Round = Mapping[str, Turn]
"""A turn of each contender, by their names."""


@dataclass(frozen=True, slots=True)
class Load:
    """The load of the machine during a comparison.

    Attributes:
        rounds: how many there were, repeated ones included.
        disturbed: how many of them do not count.
        is_too_busy: whether too few are left for a comparison.
        cpus: of the machine.
        others: how many other processes used in the disturbed rounds, on average.
        by: names of these processes, each with the CPUs it used, the largest ones.
    """

    rounds: int
    disturbed: int
    is_too_busy: bool
    cpus: int
    others: float
    by: tuple[tuple[str, float], ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return plain values."""
        return asdict(self)


def repeats(turns: int) -> int:
    """Return how many rounds are repeated at most."""
    return 1 + turns // 2


def calm_rounds(rounds: Sequence[Round], most_others: float) -> list[int]:
    """Return which rounds have no disturbed turn."""
    best: dict[str, float] = {}
    for each in rounds:
        for name, turn in each.items():
            best[name] = max(best.get(name, 0.0), turn.speed)
    return [
        number
        for number, each in enumerate(rounds)
        if all(
            turn.others <= most_others and turn.speed >= _LEAST_SPEED * best[name]
            for name, turn in each.items()
        )
    ]


def load_of(
    rounds: Sequence[Round],
    calm: Sequence[int],
    *,
    turns: int,
    by: Sequence[Mapping[str, float]] = (),
) -> Load:
    """Return the load during some rounds.

    Args:
        rounds: all of them.
        calm: those that count.
        turns: how many were to count.
        by: CPUs that other processes used in each round, by their names.
    """
    disturbed = [number for number in range(len(rounds)) if number not in calm]
    turns_of = [turn for number in disturbed for turn in rounds[number].values()]
    seconds = sum(turn.seconds for turn in turns_of)
    others = sum(turn.others * turn.seconds for turn in turns_of) / seconds if seconds else 0.0
    names = {name for number in disturbed if by for name in by[number]}
    cpus = {
        name: round(sum(by[number].get(name, 0.0) for number in disturbed) / len(disturbed), 2)
        for name in names
    }
    largest = sorted(cpus.items(), key=lambda item: (-item[1], item[0]))[:3]
    return Load(
        rounds=len(rounds),
        disturbed=len(disturbed),
        is_too_busy=bool(rounds) and len(calm) < (turns + 1) // 2,
        cpus=os.cpu_count() or 1,
        others=round(others, 2),
        by=tuple((name, used) for name, used in largest if used >= _LEAST_SHOWN),
    )


class Bystanders:
    """Other processes, and the CPUs that each uses."""

    def __init__(self) -> None:
        """Look at them for the first time."""
        self._at, self._before = time.monotonic(), self._look()

    def used(self) -> dict[str, float]:
        """Return the CPUs they have used since the last call, those of one name together."""
        before, at = self._before, self._at
        self._at, self._before = time.monotonic(), self._look()
        used: dict[str, float] = {}
        for process, seconds in self._before.items():
            cpus = max(0.0, seconds - before.get(process, 0.0)) / (self._at - at)
            used[process[1]] = used.get(process[1], 0.0) + cpus
        return used

    def _look(self) -> dict[tuple[int, str], float]:
        import psutil

        this = psutil.Process()
        own = {this.pid, *(child.pid for child in this.children(recursive=True))}
        return {
            (process.pid, process.info["name"] or "?"): sum(process.info["cpu_times"][:2])
            for process in psutil.process_iter(["name", "cpu_times"])
            if process.pid not in own and process.info["cpu_times"]
        }
