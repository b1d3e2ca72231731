"""Reading the files of a run folder: each is what it should be, is not there, or is damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from tunesmith.errors import IntegrityError, Place, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.runs.model_metadata import STRICT, parse, parse_run_facts, reason_of
from tunesmith.tasks import task_from_json
from tunesmith.training.plan import Plan

__all__ = ["read_plan", "read_run_facts"]

_MOST_BYTES = 64 << 20
"""No plan and no `tunesmith.json` is so large; what is, is not read into memory."""

Count = Annotated[int, Field(ge=0, le=10**15)]
Positive = Annotated[int, Field(ge=1, le=10**15)]


class _Split(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    source: str
    examples: Count
    tokens: Count


class _Steps(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    num_examples: Count
    batch_size: Positive
    micro_batch_size: Positive
    num_processes: Positive
    steps_per_epoch: Positive
    total_steps: Count
    warmup_steps: Count
    learning_rate: float
    schedule: str
    seed: int


class _Model(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    name: str
    revision: str | None


class _Machine(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    device: str
    precision: str


class _Fingerprint(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    data: dict[str, str]
    model: dict[str, Any]
    versions: dict[str, str]
    machine: _Machine


class _Plan(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    model: _Model
    data: dict[str, _Split]
    task: dict[str, Any]
    max_length: Positive
    plan: _Steps
    fingerprint: _Fingerprint


def read_plan(path: Path) -> dict[str, Any]:
    """What `plan.json` says; empty if it is not there.

    Raises:
        IntegrityError: it is damaged (C138).
    """
    return _read(path, _parse_plan)


def read_run_facts(path: Path) -> dict[str, Any]:
    """What `tunesmith.json` of a finished run says; empty if it is not there.

    Raises:
        IntegrityError: it is damaged (C138).
    """
    return _read(path, parse_run_facts)


def _parse_plan(text: bytes) -> dict[str, Any]:
    facts = parse(_Plan, text)
    try:
        Plan(**facts["plan"])
        task_from_json(facts["task"])
    except (KeyError, TypeError, RecipeError) as error:  # a field too many or too few, an odd task
        raise ValueError(str(error)) from error
    return facts


def _read(path: Path, take: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    try:
        if not path.is_file() and path.exists():
            raise ValueError(_("it is no file"))
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(_("it is larger than {size} MB").format(size=_MOST_BYTES >> 20))
        return take(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise IntegrityError.of(
            "C138",
            _("the file is damaged: {reason}").format(reason=reason_of(error)),
            Place(str(path)),
            fix=_("Bring it back from a copy, or train again with --restart."),
        ) from error
