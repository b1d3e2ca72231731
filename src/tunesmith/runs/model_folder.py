"""The model folder: plain Hugging Face layout, plus one `tunesmith.json`, committed whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.errors import ModelError, Place
from tunesmith.i18n import gettext as _
from tunesmith.metrics.scores import Scores
from tunesmith.metrics.shortfall import compare_with_tfidf, find_shortfall
from tunesmith.models.untrusted import UnreadableFile, read_json
from tunesmith.runs.model_card import CardFacts, with_calibration, write_card
from tunesmith.runs.model_metadata import check_model_facts, reason_of
from tunesmith.storage import atomic
from tunesmith.storage.library_logging import quiet_transformers
from tunesmith.tasks import Task
from tunesmith.text import escape_controls

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
        facts: what else `tunesmith.json` holds: scores, steps, times, fingerprint.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    content = {"format": 1, "task": task.as_json(), "max_length": max_length, **facts}
    with atomic.publish(target) as folder:
        with quiet_transformers():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        (folder / CARD).write_text(write_card(card), encoding="utf-8", newline="\n")
        _write_facts(folder, content)


def amend_facts(folder: Path, facts: Mapping[str, object]) -> None:
    """Add facts to `tunesmith.json` of a model folder, or replace them; it stays whole throughout.

    A calibration among them is described in the card, too. The caller holds the lock on the
    folder above.

    Raises:
        ModelError: the old facts cannot be read (M109).
        ResourceError: the disk is full or cannot be written (C107).
    """
    content = {**(read_facts(folder) or {}), **facts}
    card = (folder / CARD).read_text(encoding="utf-8") if (folder / CARD).is_file() else None
    calibration = content.get("calibration")
    if card is not None and calibration is not None:
        card = with_calibration(card, calibration)
    with atomic.amend(folder, CARD, FACTS) as unfinished:
        if card is not None:
            (unfinished / CARD).write_text(card, encoding="utf-8", newline="\n")
        _write_facts(unfinished, content)


def _write_facts(folder: Path, facts: Mapping[str, object]) -> None:
    text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
    text = escape_controls(text, keep="\n") + "\n"
    (folder / FACTS).write_text(text, encoding="utf-8", newline="\n")


def score_facts(scores: Mapping[str, Scores], *, by: str | None) -> dict[str, Any]:
    """Return scores by split as `tunesmith.json` and `--json` have them.

    Args:
        scores: by split.
        by: the score that chooses the model.
    """
    shortfalls = {split: find_shortfall(each, by=by) for split, each in scores.items()}
    differences = {split: compare_with_tfidf(each, by=by) for split, each in scores.items()}
    return {
        "scores": {split: dict(each.values) for split, each in scores.items()},
        "intervals": {
            split: {name: [one.low, one.high] for name, one in each.intervals.items()}
            for split, each in scores.items()
        },
        "baselines": {
            split: {name: dict(values) for name, values in each.baselines.items()}
            for split, each in scores.items()
        },
        "against_tfidf": {split: one.as_json() for split, one in differences.items() if one},
        "verdicts": {split: one.as_json() for split, one in shortfalls.items() if one},
    }


def read_facts(folder: Path) -> dict[str, Any] | None:
    """Return what `tunesmith.json` of a model folder holds, checked; None without one.

    Raises:
        ModelError: it cannot be read, or a field is not what was written there (M109).
    """
    path = folder / FACTS
    try:
        facts = read_json(path, max_bytes=_MAX_BYTES)
    except FileNotFoundError:
        return None
    except UnreadableFile as error:
        raise ModelError.of(
            "M109",
            _("cannot be read: {reason}").format(reason=error),
            Place(str(path)),
            fix=_("Take the file from the run again, or train again."),
        ) from error
    try:
        check_model_facts(facts)
    except ValueError as error:
        raise ModelError.of(
            "M109",
            _("it is not as tunesmith wrote it: {reason}").format(reason=reason_of(error)),
            Place(str(path)),
            fix=_("Take the file from the run again, or train again."),
        ) from error
    return facts
