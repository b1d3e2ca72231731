"""The comparison: contenders take turns, and neighboring turns are compared."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tunesmith.analysis.bench.contenders import Child, Contender, Turn
from tunesmith.analysis.bench.load import Bystanders, Load, calm_rounds, load_of, repeats
from tunesmith.analysis.bench.roofline import MOST_OTHERS
from tunesmith.i18n import gettext as _

__all__ = ["Result", "compare", "machine", "ratio_of", "steps_taken"]

_UNSTEADY = 0.3
"""Ratios whose quartiles are further apart than this fraction of the median are unsteady."""

_LIBRARIES = ("tunesmith", "torch", "transformers", "accelerate", "tokenizers", "numpy")


@dataclass(frozen=True, slots=True)
class Result:
    """The measurements of one contender.

    Attributes:
        name: of the contender.
        problem: why it did not run; everything else is then zero or None.
        samples_per_second: the median over its turns.
        tokens_per_second: real tokens.
        seconds_per_step: the median over its turns.
        peak_mb: the most memory its process held.
        ratio: how many times as fast as the first contender, the median over neighboring turns;
            None if the first did not run to the end.
        ratio_quartiles: of the ratio.
        fraction: the least time that the steps can take over the time they took; None if unknown.
        loss: the mean loss of its last turn.
        same_rows: whether it trained the same rows in the same order as the first contender; None
            where `ratio` is.
        each_turn: rows per second of each turn.
        load: of the machine; None if it was not measured.
    """

    name: str
    problem: str | None = None
    samples_per_second: float = 0.0
    tokens_per_second: float = 0.0
    seconds_per_step: float = 0.0
    peak_mb: float = 0.0
    ratio: float | None = None
    ratio_quartiles: tuple[float, float] | None = None
    fraction: float | None = None
    loss: float = 0.0
    same_rows: bool | None = None
    each_turn: tuple[float, ...] = ()
    load: Load | None = None

    @property
    def is_too_busy(self) -> bool:
        """Whether other processes disturbed so many turns that no ratio means anything."""
        return self.load is not None and self.load.is_too_busy

    @property
    def is_unsteady(self) -> bool:
        """Whether the figures mean nothing: faster than possible, or ratios far apart.

        Both happen when the machine is busy with something else in some turns.
        """
        return (
            self.is_too_busy
            or not self._are_ratios_close
            or (self.fraction is not None and self.fraction > 1.0)
        )

    @property
    def _are_ratios_close(self) -> bool:
        if self.ratio is None or self.ratio_quartiles is None:
            return True
        low, high = self.ratio_quartiles
        return high - low <= _UNSTEADY * self.ratio

    @property
    def known_ratio(self) -> float | None:
        """The ratio, if it means something.

        Other rows are other work, so that ratios then differ from turn to turn by themselves.
        """
        means_something = self._are_ratios_close or self.same_rows is False
        return self.ratio if means_something and not self.is_too_busy else None

    @property
    def known_fraction(self) -> float | None:
        """The fraction of the limit, if it means something: no step is faster than its limit."""
        if self.fraction is None or self.fraction > 1.0 or self.is_too_busy:
            return None
        return self.fraction

    def as_json(self) -> dict[str, object]:
        """Return plain values; None for a ratio or fraction that means nothing."""
        return {
            **asdict(self),
            "ratio": self.known_ratio,
            "ratio_quartiles": None if self.is_too_busy else self.ratio_quartiles,
            "fraction": self.known_fraction,
            "is_unsteady": self.is_unsteady,
        }


def steps_taken(turns: int, steps: int) -> int:
    """Return how many steps a contender takes at most, warm-up included."""
    return 1 + (1 + turns + repeats(turns)) * (1 + steps)


def compare(
    contenders: Sequence[Contender],
    settings: dict[str, object],
    *,
    turns: int,
    steps: int,
    say: Callable[[str], None] = lambda _line: None,
    most_others: float = MOST_OTHERS,
) -> list[Result]:
    """Let contenders take turns; the first turn is a warm-up and is not counted.

    A library builds its kernels when it first sees a shape, and on a CPU a process that waited has
    lost its caches and even memory pages; both matter for short turns and not for a whole training.
    So on a CPU each turn also begins with a step that is not timed.

    Turns that other processes disturb are repeated, by all contenders, so that they keep training
    the same rows; a half more turns at most.

    Args:
        contenders: the others are compared with the first.
        settings: recipe keys that all share: data, model, batch size, seed, schedule.
        turns: how many of each count.
        steps: of each turn.
        say: called with a line about each turn.
        most_others: CPUs that other processes may use in a turn that counts.
    """
    settings = {**settings, "train.log_every": steps}  # a turn ends by reading its losses
    children = [Child(contender, settings) for contender in contenders]
    untimed = 1 if _is_on_cpu(settings) else 0
    problems = {child.contender.name: child.ready() for child in children}
    running = [child for child in children if problems[child.contender.name] is None]
    rounds: list[dict[str, Turn]] = []
    used: list[dict[str, float]] = []
    bystanders = Bystanders()

    def take_turns(number: int) -> dict[str, Turn]:
        taken = {}
        for child in [c for c in running if problems[c.contender.name] is None]:
            name = child.contender.name
            turn = child.turn(steps, untimed=untimed)
            if isinstance(turn, str):
                problems[name] = turn
                continue
            taken[name] = turn
            if number:
                say(_line(f"{number}/{turns}  {name:<24}", turn, most_others))
        return taken

    take_turns(0)
    bystanders.used()
    calm: list[int] = []
    while len(calm) < turns and len(rounds) - len(calm) <= repeats(turns):
        taken = take_turns(len(calm) + 1)
        if not taken:
            break
        rounds.append(taken)
        used.append(bystanders.used())
        calm = calm_rounds(rounds, most_others)
    peaks = {child.contender.name: child.stop() for child in running}
    load = load_of(rounds, calm, turns=turns, by=used)
    counted = [rounds[number] for number in calm]
    if load.is_too_busy:
        counted = rounds
    first = contenders[0].name
    results = []
    for contender in contenders:
        name = contender.name
        if problems[name] is not None:
            results.append(Result(name, problem=problems[name], load=load))
            continue
        mine = [taken[name] for taken in counted]
        reference = [taken[first] for taken in counted] if problems[first] is None else None
        results.append(replace(_result(name, mine, reference, peaks[name]), load=load))
    return results


def _line(beginning: str, turn: Turn, most_others: float) -> str:
    """A line about a turn."""
    speed = f"{1000 * turn.seconds / turn.steps:8.1f} ms/step  loss {turn.loss:.4f}"
    others = ""
    if turn.others > most_others:
        others = "  " + _("other processes: {others:.1f} CPUs").format(others=turn.others)
    return beginning + speed + others


def _is_on_cpu(settings: dict[str, object]) -> bool:
    import torch

    device = settings.get("train.device", "auto")
    return device == "cpu" or (device == "auto" and not torch.accelerator.is_available())


def _result(
    name: str, mine: Sequence[Turn], reference: Sequence[Turn] | None, peak: float
) -> Result:
    ratio = quartiles = same_rows = None
    if reference is not None:
        ratio, quartiles = _paired(_rates(mine), _rates(reference))
        same_rows = [turn.order for turn in mine] == [turn.order for turn in reference]
    limit, spent = sum(turn.limit for turn in mine), sum(turn.seconds for turn in mine)
    return Result(
        name,
        None,
        round(statistics.median(turn.rows / turn.seconds for turn in mine), 2),
        round(statistics.median(turn.tokens / turn.seconds for turn in mine), 1),
        round(statistics.median(turn.seconds / turn.steps for turn in mine), 5),
        round(peak, 1),
        ratio,
        quartiles,
        round(limit / spent, 3) if limit else None,
        round(mine[-1].loss, 5),
        same_rows,
        tuple(round(rate, 3) for rate in _rates(mine)),
    )


def _rates(turns: Sequence[Turn]) -> list[float]:
    return [turn.rows / turn.seconds for turn in turns]


def _paired(mine: Sequence[float], reference: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """The median of the ratios of neighboring turns, and their quartiles."""
    ratios = sorted(rate / other for rate, other in zip(mine, reference, strict=True))
    quarter = len(ratios) // 4
    return (
        round(statistics.median(ratios), 3),
        (round(ratios[quarter], 3), round(ratios[-1 - quarter], 3)),
    )


def ratio_of(one: Result, other: Result) -> tuple[float, tuple[float, float]] | None:
    """How many times as fast one contender is as another, with quartiles; None if one failed."""
    if one.problem is not None or other.problem is not None or one.is_too_busy:
        return None
    return _paired(one.each_turn, other.each_turn)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    import psutil
    import torch

    cpu = Path("/proc/cpuinfo")
    names = cpu.read_text(encoding="utf-8").splitlines() if cpu.is_file() else []
    model = next((line.split(":")[1].strip() for line in names if "model name" in line), "")
    return {
        "processor": model or platform.processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load": [round(value, 2) for value in psutil.getloadavg()],
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }
