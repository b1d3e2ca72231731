"""The model folder: plain Hugging Face layout, plus one `tunesmith.json`, committed whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith import commit
from tunesmith.artifact.card import CardFacts, with_calibration, write_card
from tunesmith.errors import ModelError, Place, Problem, inert
from tunesmith.language import gettext as _
from tunesmith.metrics import Scores
from tunesmith.quiet import quiet_transformers
from tunesmith.tasks import Task
from tunesmith.verdict import judge

__all__ = ["CARD", "FACTS", "amend_facts", "read_facts", "score_facts", "write_model"]

FACTS = "tunesmith.json"
CARD = "README.md"


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
    with commit.publish(target) as folder:
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
    with commit.amend(folder, CARD, FACTS) as unfinished:
        if card is not None:
            (unfinished / CARD).write_text(card, encoding="utf-8")
        _write_facts(unfinished, kept)


def _write_facts(folder: Path, facts: Mapping[str, object]) -> None:
    text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / FACTS).write_text(inert(text, keep="\n") + "\n", encoding="utf-8")


def score_facts(scores: Mapping[str, Scores], *, by: str | None) -> dict[str, Any]:
    """Scores by split as `tunesmith.json` and `--json` have them.

    Args:
        scores: by split.
        by: the score that chooses the model.
    """
    verdicts = {split: judge(found, by=by) for split, found in scores.items()}
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
        "verdicts": {split: told.as_json() for split, told in verdicts.items() if told},
    }


def read_facts(folder: Path) -> dict[str, Any] | None:
    """What `tunesmith.json` of a model folder holds; None if there is none.

    Raises:
        ModelError: it cannot be read (M109).
    """
    path = folder / FACTS
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(
            Problem("M109", _("cannot be read: {reason}").format(reason=error), Place(str(path)))
        ) from error
    return dict(facts)
