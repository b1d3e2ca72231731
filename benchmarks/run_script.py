"""Runs an example script of transformers offline, and notes the loss of each step.

    python benchmarks/run_script.py STEPS.json SCRIPT.py ARGUMENTS...

`evaluate.load` would fetch its metrics from the network. In its place "seqeval" is the package of
that name, with the same keys, and "squad" and "squad_v2" are written here from their definitions.
"""

from __future__ import annotations

import json
import re
import runpy
import string
import sys
import types
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

Texts = Sequence[Mapping[str, Any]]


class Seqeval:
    """Scores of tags, by the package of this name."""

    def compute(self, *, predictions: Any, references: Any) -> dict[str, Any]:
        """Return what `evaluate` returns: of all types together, and of each."""
        from seqeval.metrics import accuracy_score, classification_report

        report = classification_report(references, predictions, output_dict=True, zero_division=0)
        micro = report.pop("micro avg")
        return {
            **{name: report[name] for name in report if not name.endswith(" avg")},
            "overall_precision": micro["precision"],
            "overall_recall": micro["recall"],
            "overall_f1": micro["f1-score"],
            "overall_accuracy": accuracy_score(references, predictions),
        }


def words(text: str) -> list[str]:
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def shared(predicted: str, gold: str) -> float:
    """F1 of the words of an answer; 1 if both are empty."""
    one, two = words(predicted), words(gold)
    if not one or not two:
        return float(one == two)
    common = sum((Counter(one) & Counter(two)).values())
    return 0.0 if not common else 2 * common / (len(one) + len(two))


def best(predicted: str, golds: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 with the right answer that fits best."""
    exact = max(float(words(predicted) == words(gold)) for gold in golds)
    return exact, max(shared(predicted, gold) for gold in golds)


class Squad:
    """Scores of SQuAD 1.1."""

    exact_name = "exact_match"

    def compute(self, *, predictions: Texts, references: Texts) -> dict[str, Any]:
        """Return the scores of all questions."""
        texts = {one["id"]: one["prediction_text"] for one in predictions}
        scored = []
        for row in references:
            # without an answer that has words, the right one is the empty text
            golds = [text for text in row["answers"]["text"] if words(text)] or [""]
            scored.append((bool(row["answers"]["text"]), best(texts[row["id"]], golds)))
        return self._scores(scored)

    def _scores(self, scored: Sequence[tuple[bool, tuple[float, float]]]) -> dict[str, Any]:
        return self._means([pair for _has_answer, pair in scored])

    def _means(self, pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
        return {
            self.exact_name: 100.0 * sum(exact for exact, _f1 in pairs) / len(pairs),
            "f1": 100.0 * sum(f1 for _exact, f1 in pairs) / len(pairs),
        }


class SquadV2(Squad):
    """Scores of SQuAD 2.0, without those of a best threshold."""

    exact_name = "exact"

    def _scores(self, scored: Sequence[tuple[bool, tuple[float, float]]]) -> dict[str, Any]:
        made = {**super()._scores(scored), "total": len(scored)}
        for name, kind in (("HasAns", True), ("NoAns", False)):
            if pairs := [pair for has_answer, pair in scored if has_answer is kind]:
                part = {**self._means(pairs), "total": len(pairs)}
                made |= {f"{name}_{key}": value for key, value in part.items()}
        return made


class Metrics(types.ModuleType):
    """What scripts import as `evaluate`."""

    KNOWN: ClassVar[dict[str, type]] = {"seqeval": Seqeval, "squad": Squad, "squad_v2": SquadV2}

    def load(self, name: str, **_more: object) -> Any:
        """Return a metric."""
        return self.KNOWN[name]()


def main() -> None:
    steps, script, *arguments = sys.argv[1:]
    sys.modules["evaluate"] = Metrics("evaluate")
    import transformers

    losses: list[float] = []
    unwatched = transformers.Trainer.training_step

    def training_step(self: Any, *inputs: Any, **more: Any) -> Any:
        loss = unwatched(self, *inputs, **more)
        losses.append(float(loss))
        return loss

    transformers.Trainer.training_step = training_step
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(Path(script).parent))
    runpy.run_path(script, run_name="__main__")
    Path(steps).write_text(json.dumps(losses))


if __name__ == "__main__":
    main()
