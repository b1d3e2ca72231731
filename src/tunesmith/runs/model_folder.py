"""The model folder: plain Hugging Face layout, plus one `tunesmith.json`, committed whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, PositiveInt, TypeAdapter, ValidationError

from tunesmith.errors import ModelError, Place, Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.metrics.calibration import Calibration
from tunesmith.metrics.scores import Scores
from tunesmith.metrics.shortfall import compare_with_tfidf, find_shortfall
from tunesmith.models.untrusted import UnreadableFile, read_json
from tunesmith.runs.model_card import CardFacts, with_calibration, write_card
from tunesmith.storage import atomic
from tunesmith.storage.library_logging import quiet_transformers
from tunesmith.tasks import Task, task_from_json
from tunesmith.text import escape_controls, quoted

__all__ = ["CARD", "FACTS", "amend_facts", "read_facts", "score_facts", "write_model"]

FACTS = "tunesmith.json"
CARD = "README.md"
_MAX_BYTES = 100_000_000


def write_model(
    target: Path,
    model: Any,
    tokenizer: Any,
    task: Task,
    *,
    max_length: int,
    card: CardFacts,
    facts: Mapping[str, object],
) -> None:
    """Commit a model folder.

    Args:
        target: must not exist.
        model: a transformers model, unwrapped.
        tokenizer: its tokenizer.
        task: fitted.
        max_length: tokens per row in training.
        card: what README.md says.
        facts: what else `tunesmith.json` keeps: scores, steps, times, fingerprint.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    kept = {"format": 1, "task": task.as_json(), "max_length": max_length, **facts}
    with atomic.publish(target) as folder:
        with quiet_transformers():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        (folder / CARD).write_text(write_card(card), encoding="utf-8")
        _write_facts(folder, kept)


def amend_facts(folder: Path, facts: Mapping[str, object]) -> None:
    """Add facts to `tunesmith.json` of a model folder, or replace them; it stays whole throughout.

    Where a calibration is among them, the card tells of it, too.

    Only for one who holds the lock on its parent.

    Raises:
        ModelError: the old facts cannot be read (M109).
        ResourceError: the disk is full or cannot be written (C107).
    """
    kept = {**(read_facts(folder) or {}), **facts}
    card = (folder / CARD).read_text(encoding="utf-8") if (folder / CARD).is_file() else None
    calibration = kept.get("calibration")
    if card is not None and calibration is not None:
        card = with_calibration(card, calibration)
    with atomic.amend(folder, CARD, FACTS) as unfinished:
        if card is not None:
            (unfinished / CARD).write_text(card, encoding="utf-8")
        _write_facts(unfinished, kept)


def _write_facts(folder: Path, facts: Mapping[str, object]) -> None:
    text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / FACTS).write_text(escape_controls(text, keep="\n") + "\n", encoding="utf-8")


def score_facts(scores: Mapping[str, Scores], *, by: str | None) -> dict[str, Any]:
    """Scores by split as `tunesmith.json` and `--json` have them.

    Args:
        scores: by split.
        by: the score that chooses the model.
    """
    verdicts = {split: find_shortfall(found, by=by) for split, found in scores.items()}
    against = {split: compare_with_tfidf(found, by=by) for split, found in scores.items()}
    return {
        "scores": {split: dict(found.values) for split, found in scores.items()},
        "intervals": {
            split: {name: [told.low, told.high] for name, told in found.intervals.items()}
            for split, found in scores.items()
        },
        "baselines": {
            split: {name: dict(values) for name, values in found.baselines.items()}
            for split, found in scores.items()
        },
        "against_tfidf": {split: told.as_json() for split, told in against.items() if told},
        "verdicts": {split: told.as_json() for split, told in verdicts.items() if told},
    }


def read_facts(folder: Path) -> dict[str, Any] | None:
    """What `tunesmith.json` of a model folder holds, every known field checked; None without one.

    Raises:
        ModelError: it cannot be read, or a field is not what was written there (M109).
    """
    path = folder / FACTS
    try:
        facts = read_json(path, max_bytes=_MAX_BYTES)
    except FileNotFoundError:
        return None
    except UnreadableFile as error:
        raise ModelError(
            Problem("M109", _("cannot be read: {reason}").format(reason=error), Place(str(path)))
        ) from error
    try:
        _check_facts(facts)
    except (RecipeError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ModelError(
            Problem(
                "M109",
                _("it is not as tunesmith wrote it: {reason}").format(reason=_reason(error)),
                Place(str(path)),
                fix=_("Take the file from the run again, or train again."),
            )
        ) from error
    return facts


class _Facts(BaseModel):
    """The fields that are read again, and their types."""

    model_config = ConfigDict(extra="allow", strict=True)

    format: Literal[1]
    task: dict[str, Any]
    max_length: PositiveInt
    metrics: list[str] = []
    scores: dict[str, dict[str, float | None]] = {}
    intervals: dict[str, dict[str, Any]] = {}
    baselines: dict[str, dict[str, dict[str, float | None]]] = {}
    compare_with_tfidf: dict[str, dict[str, Any]] = {}
    verdicts: dict[str, dict[str, Any]] = {}
    constant: list[float] | None = None
    precision: str = "fp32"
    calibration: dict[str, Any] | None = None


def _check_facts(facts: Mapping[str, Any]) -> None:
    """Raise an error of some kind unless everything in it can be used."""
    _Facts.model_validate(facts)
    task = task_from_json(facts["task"])
    kind, constant = task.output, facts.get("constant")
    _positive = kind.positive  # raises ValueError if it is none of the labels
    if kind.raw_kind and constant is not None and len(constant) != len(kind.names):
        raise ValueError(f"constant: {len(constant)} numbers, not {len(kind.names)}")
    if (kept := facts.get("calibration")) is not None:
        known = {name: kept.get(name) for name in Calibration.__dataclass_fields__}
        TypeAdapter(Calibration).validate_json(json.dumps(known), strict=True)
        if known["kind"] != kind.name:
            raise ValueError(f"calibration.kind: {known['kind']}")
        if known["temperature"] <= 0:
            raise ValueError(f"calibration.temperature: {known['temperature']}")
        thresholds = known["thresholds"]
        if thresholds and (kind.label_kind is None or tuple(thresholds) != kind.labels):
            raise ValueError(f"calibration.thresholds: {quoted(list(thresholds))}")


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return ".".join(map(str, first["loc"])) + ": " + first["msg"]
    if isinstance(error, RecipeError):
        return error.problems[0].message
    return f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error)
