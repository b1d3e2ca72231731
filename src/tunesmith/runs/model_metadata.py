"""The shape of `tunesmith.json`: a field that is read again has its type, or it is damaged.

Unknown keys are kept and not looked at, so that files of newer versions can be read.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from tunesmith.metrics.calibration import Calibration
from tunesmith.metrics.shortfall import Shortfall
from tunesmith.tasks import task_from_json
from tunesmith.text import shortened

__all__ = ["STRICT", "parse", "parse_run_facts", "reason_of", "without_halves"]

STRICT = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
"""Types as JSON has them: no number for text, no NaN, but an integer where a number is expected."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def without_halves(text: bytes) -> bytes:
    """JSON with another character for each half of a pair, which pydantic takes for an error.

    To us it is a character like others: names of files may hold one.
    """
    return _SURROGATE.sub(rb"\\u003f", text)


Count = Annotated[int, Field(ge=0, le=10**15)]
Scores = dict[str, float | None]


class _Roles(TypedDict, total=False):
    text: str
    text_pair: str | None
    label: str | list[str] | None


class _Task(TypedDict, total=False):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    task: str
    roles: _Roles
    labels: Annotated[list[str], Field(min_length=1)]
    positive_label: str | None
    mlm_probability: Annotated[float, Field(gt=0, lt=1)]
    whole_word_mask: bool
    always_mask: list[str]


class _Base(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    name: str
    revision: str | None


class _Calibration(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    kind: str
    temperature: Annotated[float, Field(gt=0)]
    rule: str | None
    thresholds: dict[str, Annotated[float, Field(ge=0, le=1)] | None] | None
    goal: str | None


class _Verdict(TypedDict, total=False):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    code: str
    rows: Count
    score: str
    value: float
    low: float
    high: float
    constant: float
    tfidf: float


class _TfidfComparison(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    score: str
    rows: Count
    model: float
    tfidf: float
    low: float
    high: float
    is_sure: bool
    is_better: bool


class _Optional(TypedDict, total=False):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    metrics: list[str]
    intervals: dict[str, dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]]]
    baselines: dict[str, dict[str, Scores]]
    against_tfidf: dict[str, _TfidfComparison]
    rows: dict[str, Count]
    verdicts: dict[str, _Verdict]
    words_counted_in: Annotated[list[Count], Field(min_length=2, max_length=2)]
    best: str | None
    data: dict[str, str]
    precision: str
    calibration: _Calibration | None


class _Run(_Optional):
    task: _Task
    max_length: Annotated[int, Field(ge=1, le=10**9)]
    scores: dict[str, Scores]
    steps: Count
    best_step: Count
    reason: str
    train_seconds: Annotated[float, Field(ge=0)]
    samples_per_second: Annotated[float, Field(ge=0)]
    base_model: _Base
    versions: dict[str, str]


@cache
def _checker(shape: type) -> TypeAdapter[Any]:
    """Made when it is first asked for: light commands do not pay for it."""
    return TypeAdapter(shape)


def parse_run_facts(text: bytes) -> dict[str, Any]:
    """What `tunesmith.json` says of the model of a run, and of how it was trained.

    Raises:
        ValueError: it has another shape.
    """
    facts = parse(_Run, text)
    try:
        task_from_json(facts["task"])
        for split, verdict in (facts.get("verdicts") or {}).items():
            Shortfall.from_json(verdict).problem(split)
        if facts.get("calibration") is not None:
            Calibration.from_json(facts["calibration"])
    except Exception as error:  # whatever other content makes of them
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return facts


def parse(shape: type, text: bytes) -> dict[str, Any]:
    """A JSON object of some shape.

    Raises:
        ValueError: it has another one.
    """
    _checker(shape).validate_json(without_halves(text))
    value: dict[str, Any] = json.loads(text)
    return value


def reason_of(error: Exception) -> str:
    """Why a file cannot be read, on one line: the first field that is wrong, with its value."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"]))
        return shortened(f"{field}: {first['msg']}" if field else first["msg"], at_most=200)
    return shortened(str(error) or type(error).__name__, at_most=200)
