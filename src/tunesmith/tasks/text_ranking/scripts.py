"""Text ranking as code for a script: one logit per pair, and the scores of each query."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.rows import Row
from tunesmith.i18n import gettext as _
from tunesmith.tasks.protocol import Task
from tunesmith.tasks.script_parts import ScriptCode, ScriptParts, ScriptTargets, TargetExpression

__all__ = ["ranking_parts"]

_SCORES = """\
loss = binary_cross_entropy_with_logits(torch.as_tensor(logits), torch.as_tensor(labels))
queries = {}
for query, score, label in zip(raw[name][TEXT], logits[:, 0].tolist(), labels[:, 0].tolist()):
    queries.setdefault(query, []).append((score, label))
statistics = []
for passages in queries.values():
    scores, gains = np.array(passages).T
    relevant = RELEVANT
    if not relevant.any():
        continue
    ranks = np.flatnonzero(relevant[np.argsort(-scores, kind="stable")]) + 1
    ndcg = ndcg_score([gains], [scores], k=10) if len(scores) > 1 else 1.0
    reciprocal = 1 / ranks[0] if ranks[0] <= 10 else 0.0
    precision = np.mean(np.arange(1, len(ranks) + 1) / ranks)
    recall = np.mean(ranks <= 10)
    right = np.sum((scores >= 0) == relevant)
    statistics.append([ndcg, reciprocal, precision, recall, right, len(scores)])
statistics = np.array(statistics)
"""
_METRICS = {
    "ndcg_at_10": "statistics[:, 0].mean()",
    "mrr_at_10": "statistics[:, 1].mean()",
    "map": "statistics[:, 2].mean()",
    "recall_at_10": "statistics[:, 3].mean()",
    "accuracy": "statistics[:, 4].sum() / statistics[:, 5].sum()",
    "loss": "loss.item()",
}


def ranking_parts(
    task: Task,
    *,
    label_of: Callable[[Row], float | None],
    scale: float,
    relevant_from: float,
    activation: str,
) -> ScriptParts:
    """One logit per pair: binary cross entropy, rankings of each query.

    Args:
        task: fitted.
        label_of: the label of a row.
        scale: what labels are divided by.
        relevant_from: the lowest label of a relevant passage.
        activation: the class by which `CrossEncoder` makes scores of logits.
    """

    def targets_of(rows: object) -> NDArray[np.float64]:
        labels = task.targets(rows)["label"] / scale  # type: ignore[arg-type]
        return np.asarray(labels, dtype=np.float64)[:, None]

    is_binary = scale == relevant_from == 1.0
    constants: list[tuple[str, object, str]] = []
    relevant, each = "gains > 0", "[float(value)]"
    if not is_binary:
        constants = [
            ("HIGHEST", scale, _("what labels are divided by")),
            ("RELEVANT_FROM", relevant_from, _("the lowest label of a relevant passage")),
        ]
        relevant, each = "gains * HIGHEST >= RELEVANT_FROM - 1e-5", "[float(value) / HIGHEST]"
    note = _("Queries without a relevant passage are left out; equal scores stay in their order.")
    return ScriptParts(
        model_class=task.model_class,
        model_arguments=["num_labels=1", 'problem_type="multi_label_classification"'],
        constants=constants,
        network=ScriptCode(
            f'model.config.sentence_transformers = {{"activation_fn": "{activation}"}}\n',
            (_("By this entry sentence-transformers makes scores of logits."),),
        ),
        scores=_SCORES.replace("RELEVANT\n", relevant + "\n"),
        scores_read_rows=True,
        metrics=_METRICS,
        metric_notes=dict.fromkeys(_METRICS, note),
        loss_sum='binary_cross_entropy_with_logits(outputs.logits, labels, reduction="sum")',
        targets=ScriptTargets(
            (
                TargetExpression(
                    each, "for value in rows[LABEL]", lambda value: [float(value) / scale]
                ),
            ),
            targets_of,
            label_of,
        ),
    )
