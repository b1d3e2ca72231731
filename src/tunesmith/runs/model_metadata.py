"""The shape of `tunesmith.json`: a field that is read again has its type, or it is damaged.

Unknown keys are preserved and not checked, so that files of newer versions can be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from tunesmith.metrics.calibration import Calibration
from tunesmith.metrics.shortfall import Shortfall
from tunesmith.metrics.thresholds import Rule
from tunesmith.tasks import task_from_json
from tunesmith.text import quoted, shortened

__all__ = ["STRICT", "check_model_facts", "parse", "parse_run_facts", "reason_of", "without_halves"]

STRICT = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
"""Types as JSON has them: no number for text, no NaN, but an integer where a number is expected."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def without_halves(text: bytes) -> bytes:
    """Replace halves of surrogate pairs, which pydantic takes for an error, in JSON.

    They are characters like others: names of files may hold them.
    """
    return _SURROGATE.sub(rb"\\u003f", text)


Count = Annotated[int, Field(ge=0, le=10**15)]
Scores = dict[str, float | None]


class _Base(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    name: str
    revision: str | None


class _Calibration(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    kind: str
    temperature: Annotated[float, Field(gt=0)]
    rule: Rule | None
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
    constant: list[float] | None
    data: dict[str, str]
    precision: str
    calibration: _Calibration | None


class _Model(_Optional):
    format: Literal[1]
    task: dict[str, Any]
    max_length: Annotated[int, Field(ge=1, le=10**9)]
    scores: dict[str, Scores]


class _Run(_Model):
    steps: Count
    best_step: Count
    reason: str
    train_seconds: Annotated[float, Field(ge=0)]
    samples_per_second: Annotated[float, Field(ge=0)]
    base_model: _Base
    versions: dict[str, str]


@cache
def _checker(shape: type) -> TypeAdapter[Any]:
    """Return a validator, made when it is first needed: light commands do not pay for it."""
    return TypeAdapter(shape)


def parse_run_facts(text: bytes) -> dict[str, Any]:
    """Return what `tunesmith.json` says of the model of a run, and of how it was trained.

    Raises:
        ValueError: it has another shape, or its values do not fit together.
    """
    facts = parse(_Run, text)
    _check_meaning(facts)
    return facts


def check_model_facts(facts: object) -> None:
    """Check what `tunesmith.json` of any model folder says.

    Raises:
        ValueError: it has another shape, or its values do not fit together.
    """
    _check_meaning(_checker(_Model).validate_python(facts))


def _check_meaning(facts: Mapping[str, Any]) -> None:
    """Raise `ValueError` unless everything can be used."""
    try:
        task = task_from_json(facts["task"])
        kind, calibrator = task.output, task.calibrator
        _positive = kind.positive  # raises ValueError if it is none of the labels
        if kind.label_kind is not None and not kind.names:
            raise ValueError("task.labels: none")
        constant, calibration = facts.get("constant"), facts.get("calibration")
        if kind.raw_kind and constant is not None and len(constant) != len(kind.names):
            raise ValueError(f"constant: {len(constant)} numbers, not {len(kind.names)}")
        for split, shortfall in (facts.get("verdicts") or {}).items():
            Shortfall.from_json(shortfall).problem(split)
        if calibration is not None:
            thresholds = Calibration.from_json(calibration).thresholds
            if calibration["kind"] != kind.name:
                raise ValueError(f"calibration.kind: {calibration['kind']}")
            if thresholds and (calibrator is None or tuple(thresholds) != calibrator.labels):
                raise ValueError(f"calibration.thresholds: {quoted(list(thresholds))}")
    except ValueError:
        raise
    except Exception as error:  # whatever other content makes of them
        raise ValueError(f"{type(error).__name__}: {error}") from error


def parse(shape: type, text: bytes) -> dict[str, Any]:
    """Return a JSON object of some shape.

    Raises:
        ValueError: it has another one.
    """
    _checker(shape).validate_json(without_halves(text))
    value: dict[str, Any] = json.loads(text)
    return value


def reason_of(error: Exception) -> str:
    """Return why a file cannot be read, on one line: the first field that is wrong."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"]))
        return shortened(f"{field}: {first['msg']}" if field else first["msg"], at_most=200)
    return shortened(str(error) or type(error).__name__, at_most=200)
