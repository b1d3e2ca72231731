"""plan.json: what was derived from a recipe and its data, and the fingerprint of all of it.

It is written before the first step, and read by everything that relies on the run. Its own sha256
is part of it, so that a cut or altered one is known as such.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from tunesmith.errors import Problem
from tunesmith.i18n import gettext as _
from tunesmith.runs.folder import RunFolder
from tunesmith.storage import atomic
from tunesmith.text import escape_controls

__all__ = ["has_begun", "learned_from", "read_plan", "remembered_warnings", "write_plan"]

_CHECK = "sha256"
_PROGRESS = ("step", "evaluated", "saved", "finished")


def write_plan(run: RunFolder, facts: Mapping[str, Any], warnings: Iterable[Problem]) -> None:
    """Write the plan of a run.

    Args:
        run: whose folder.
        facts: what was derived, as JSON takes it.
        warnings: what is odd about the data; found once, and reported by every later reader.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    stored = [problem.as_json() for problem in warnings]
    plan = json.loads(json.dumps({**facts, "warnings": stored}))
    text = json.dumps({**plan, _CHECK: _sha256_of(plan)}, indent=1, ensure_ascii=False)
    atomic.write_file(run.plan, escape_controls(text, keep="\n") + "\n")


def read_plan(run: RunFolder) -> tuple[dict[str, Any], str | None]:
    """The plan of a run, or nothing and the reason."""
    try:
        if run.plan.exists() and not run.plan.is_file():  # a pipe would be waited for
            return {}, _("it is no file")
        facts = json.loads(run.plan.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, _("it is missing")
    except (OSError, ValueError, RecursionError) as error:
        return {}, str(error)
    if not isinstance(facts, dict) or facts.pop(_CHECK, None) != _sha256_of(facts):
        return {}, _("it does not have the content it was written with")
    return facts, None


def _sha256_of(facts: Mapping[str, Any]) -> str:
    text = json.dumps(facts, sort_keys=True, ensure_ascii=True)
    return sha256(text.encode()).hexdigest()


def remembered_warnings(plan: Mapping[str, Any]) -> list[Problem]:
    """The warnings about the data that a plan holds."""
    return [Problem.from_json(stored) for stored in plan.get("warnings", ())]


def learned_from(run: RunFolder) -> dict[str, str]:
    """The hash of the rows of each split that a run used; empty where nothing says so any more."""
    plan, _damage = read_plan(run)
    hashes = plan["fingerprint"]["data"] if plan else run.facts().get("data")
    return dict(hashes) if isinstance(hashes, dict) else {}


def has_begun(run: RunFolder) -> bool:
    """Whether a step was made, as far as anything in the folder shows.

    A run that has not begun holds nothing that the same or another command could not make again.
    """
    if run.model.exists() or run.predictions.exists() or any(run.checkpoints.glob("*step-*")):
        return True
    try:
        if not run.log.is_file():
            return False
        with run.log.open(encoding="utf-8", errors="replace") as lines:
            return any(_is_progress(line) for line in lines)
    except OSError:
        return False


def _is_progress(line: str) -> bool:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(event, dict) and event.get("event") in _PROGRESS
