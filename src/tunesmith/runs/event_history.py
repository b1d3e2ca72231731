"""Reading events.jsonl: line by line, whatever its length, each line checked before it is believed.

A step that was repeated after a kill is there twice; the later line counts.
"""

from __future__ import annotations

import json
import math
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from tunesmith.errors import Place, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.runs.model_metadata import STRICT, without_halves

__all__ = ["History", "is_event", "last_step", "read_events", "read_history"]

_LONGEST = 4 << 20
"""Bytes of a line; no event is so long."""
_TAILS = (1 << 16, 1 << 20)
_MOST = 5000
"""Steps, and events of each other kind, that a history holds: more than a chart can show."""

Step = Annotated[int, Field(ge=0, le=10**15)]
Scores = dict[str, float | None]


class _StepDone(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    event: Literal["step"]
    step: Step
    loss: float | None
    learning_rate: float | None
    grad_norm: float | None
    epoch: NotRequired[float | None]


class _Evaluated(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    event: Literal["evaluated"]
    step: Step
    split: str
    scores: Scores
    is_best: NotRequired[bool]


class _Saved(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    event: Literal["saved"]
    step: Step


class _Warned(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    event: Literal["warned"]
    step: Step
    code: str
    message: str


class _Finished(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    event: Literal["finished"]
    step: Step


@cache
def _checker() -> TypeAdapter[Any]:
    return TypeAdapter(
        Annotated[_StepDone | _Evaluated | _Saved | _Warned | _Finished, Discriminator("event")]
    )


def _parsed(line: bytes) -> dict[str, Any] | None:
    """An event, or None for anything else."""
    try:
        event: dict[str, Any] = _checker().validate_json(line)
    except ValidationError:
        if b"\\ud" not in line:
            return None
    else:
        return event
    try:
        _checker().validate_json(without_halves(line))
        event = json.loads(line)
    except ValueError:
        return None
    return event


def is_event(line: bytes) -> bool:
    """Whether a line is a whole event."""
    return _parsed(line) is not None


@dataclass(slots=True)
class History:
    """What a run logged, steps thinned out where there are very many, by step.

    Attributes:
        events: as `events.jsonl` has them, each step once.
        damaged: how many lines are no events.
        first_damaged: the number of the first of them, from 1.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    damaged: int = 0
    first_damaged: int | None = None

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind."""
        return [event for event in self.events if event["event"] == kind]

    def warnings(self) -> list[str]:
        """What was warned of: code and message of each, once, in the order it was reported."""
        return list(dict.fromkeys(f"{e['code']} {e['message']}" for e in self.of("warned")))

    def problems(self, path: Path) -> list[Problem]:
        """A warning if lines were skipped."""
        if not self.damaged:
            return []
        message = ngettext(
            "{count} damaged line is skipped", "{count} damaged lines are skipped", self.damaged
        )
        return [
            Problem(
                "C129",
                message.format(count=self.damaged),
                Place(str(path), self.first_damaged),
                fix=_("Curves and warnings of those lines are missing; the model is not touched."),
                severity=Severity.WARNING,
            )
        ]


def read_events(path: Path, damaged: list[int] | None = None) -> Iterator[dict[str, Any]]:
    """The events of a file in its order; none if it is not there or cannot be read.

    A torn last line, as a kill leaves it, is no damage.

    Args:
        path: of `events.jsonl`.
        damaged: gets the numbers of the lines, from 1, that are no events.
    """
    for number, line in _lines(path):
        if (event := _parsed(line)) is not None:
            yield event
        elif line.endswith(b"\n") and line.strip() and damaged is not None:
            damaged.append(number)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; of one that is too long the beginning, which is no event."""
    try:
        if not path.is_file():
            return
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LONGEST):
                number += 1
                yield number, line
                while len(line) == _LONGEST and not line.endswith(b"\n"):
                    line = file.readline(_LONGEST)
    except OSError:  # a disk that fails: what was read so far counts
        return


def last_step(path: Path) -> int:
    """The last step that was logged, from the end of the file alone; 0 if none was."""
    try:
        if not path.is_file():
            return 0
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            for length in _TAILS:
                file.seek(max(0, size - length))
                events = map(_parsed, file.read(length).split(b"\n"))
                steps = [event["step"] for event in events if event is not None]
                if steps or length >= size:
                    return max(steps, default=0)
    except OSError:
        pass
    return 0


class _Thinned:
    """Events of one kind by key, the later of one key; every other one goes where many come."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._events: dict[object, dict[str, Any]] = {}

    def add(self, key: object, event: dict[str, Any]) -> None:
        self._events.pop(key, None)
        self._events[key] = event
        if len(self._events) > 2 * self._most:
            numbered = enumerate(list(self._events.items()))
            self._events = dict(pair for i, pair in numbered if i % 2 or pair[1].get("is_best"))

    def events(self) -> list[dict[str, Any]]:
        return list(self._events.values())


_COLUMNS = ("loss", "learning_rate", "grad_norm", "epoch")


def read_history(path: Path, *, most: int = _MOST) -> History:
    """The history of a run in memory that does not grow with the file.

    Args:
        path: of `events.jsonl`.
        most: steps, and events of each other kind, at most (of others up to twice as many).
    """
    damaged: list[int] = []
    steps, values = array("q"), array("d")
    others = {kind: _Thinned(most) for kind in ("evaluated", "saved", "warned", "finished")}
    count = 0
    history = History()
    for event in read_events(path, damaged):
        kind = event["event"]
        if damaged:
            history.first_damaged = history.first_damaged or damaged[0]
            history.damaged += len(damaged)
            damaged.clear()
        if kind == "step":
            steps.append(event["step"])
            values.extend(_number(event.get(name)) for name in _COLUMNS)
        else:
            count += 1
            key = (event["step"], event.get("split"), count if kind == "warned" else None)
            others[kind].add(key, event)
    if damaged:
        history.first_damaged = history.first_damaged or damaged[0]
        history.damaged += len(damaged)
    table = np.frombuffer(values, dtype=np.float64).reshape(-1, len(_COLUMNS))
    history.events = _step_events(*_last_of_each(np.frombuffer(steps, dtype=np.int64), table), most)
    for thinned in others.values():
        history.events += thinned.events()
    history.events.sort(key=lambda event: int(event["step"]))
    return history


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _last_of_each(
    steps: NDArray[np.int64], table: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Each step once, rising, with its last row."""
    distinct, places = np.unique(steps[::-1], return_index=True)
    return distinct, table[::-1][places]


def _step_events(
    steps: NDArray[np.int64], table: NDArray[np.float64], most: int
) -> list[dict[str, Any]]:
    """As lines of the log; of very many, neighbors are joined as a larger `log_every` would."""
    size = -(-len(steps) // most) or 1
    return [
        {"event": "step", "step": int(steps[min(start + size, len(steps)) - 1])}
        | _joined(steps[start : start + size], table[start : start + size], since)
        for start in range(0, len(steps), size)
        for since in (int(steps[start - 1]) if start else 0,)
    ]


def _joined(steps: NDArray[np.int64], table: NDArray[np.float64], since: int) -> dict[str, object]:
    """Of some neighboring lines the mean loss by steps, the largest norm, the last of the rest."""
    known = np.isfinite(table)
    weights = np.diff(steps, prepend=since) * known[:, 0]
    losses, norms = np.where(known[:, 0], table[:, 0], 0.0), table[known[:, 2], 2]
    loss = float(losses @ weights / weights.sum()) if weights.sum() > 0 else math.nan
    if len(steps) == 1:
        loss = float(table[0, 0])
    numbers = (loss, table[-1, 1], norms.max() if len(norms) else math.nan, table[-1, 3])
    return {
        name: float(value) if math.isfinite(value) else None
        for name, value in zip(_COLUMNS, numbers, strict=True)
    }
