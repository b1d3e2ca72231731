"""The scores of a plain script: those of scikit-learn and scipy, by our names for them."""

from __future__ import annotations

from tunesmith.i18n import gettext as _
from tunesmith.interop.eject.cells import Cell, block, fitted, literal, stacked
from tunesmith.interop.eject.run_facts import Facts

__all__ = ["scores_cell"]

_ONE = "f1_score(truth == {positive}, predicted == {positive}, zero_division=0.0)"
_AVERAGE = '{function}(truth, predicted, average="{average}", zero_division=0.0)'
_FUNCTIONS = {"f1": "f1_score", "precision": "precision_score", "recall": "recall_score"}
_OTHERS = {
    "accuracy": "accuracy_score(truth, predicted)",
    "matthews_correlation": "matthews_corrcoef(truth, predicted)",
    "pearson": "pearsonr(predicted, truth).statistic",
    "spearman": "spearmanr(predicted, truth).statistic",
    "mean_squared_error": "mean_squared_error(truth, predicted)",
    "perplexity": "math.exp(min(losses.sum() / targets.sum(), 700.0))",
    "token_accuracy": "hits.sum() / targets.sum()",
}
_FOUND = {
    "text-classification": (
        "    predicted, truth = logits.argmax(axis=-1), labels",
        "cross_entropy",
        "torch.as_tensor(logits), torch.as_tensor(labels)",
    ),
    "multi-label-classification": (
        "    predicted, truth = (logits >= 0).astype(int), labels.astype(int)",
        "binary_cross_entropy_with_logits",
        "torch.as_tensor(logits), torch.as_tensor(labels)",
    ),
    "text-regression": (
        "    predicted, truth = logits[:, 0], labels.astype(float)",
        "mse_loss",
        "torch.as_tensor(predicted), torch.as_tensor(labels)",
    ),
}


def scores_cell(facts: Facts) -> Cell:
    """`compute_scores`, from the logits and labels of all rows."""
    entries = [
        f'        "{name}": {_expression(name, facts)},'
        for name in facts.metrics
        if name in facts.task.metrics
    ]
    if facts.hides_words:
        return Cell(_("Scores"), _of_hidden_words(entries), [_masked_words()])
    found, loss, arguments = _FOUND[facts.task.name]
    code = block(
        "def compute_scores(logits, labels):",
        found,
        "    return {",
        entries,
        [
            f"        {line}"
            for line in fitted(f'"loss": {loss}(', arguments, ").item(),", indent=2)
        ],
        "    }",
    )
    words = []
    names = {"f1", "precision", "recall"} & set(facts.metrics)
    if names and facts.task.name == "text-classification":
        label = getattr(facts.task, "labels")[_positive(facts)]  # noqa: B009
        words.append(
            _("{scores}: of the class {label}.").format(
                scores=", ".join(sorted(names)), label=literal(label)
            )
        )
    return Cell(_("Scores"), code, words)


def _expression(name: str, facts: Facts) -> str:
    if name in _OTHERS:
        return _OTHERS[name]
    stem, _underscore, average = name.partition("_")
    if average:
        return _AVERAGE.format(function=_FUNCTIONS[stem], average=average)
    return _ONE.format(positive=_positive(facts)).replace("f1_score", _FUNCTIONS[stem])


def _positive(facts: Facts) -> int:
    positive: int = getattr(facts.task, "positive")  # noqa: B009
    return positive


def _masked_words() -> str:
    return _(
        "Of each text three numbers are kept: its summed loss, how many hidden tokens were "
        "guessed, and how many there were."
    )


def _of_hidden_words(entries: list[str]) -> str:
    found = block(
        "def found(logits, labels):",
        "    logits, chosen = logits.float(), labels != -100",
        '    losses = cross_entropy(logits.transpose(1, 2), labels, reduction="none")',
        "    hits = (logits.argmax(-1) == labels) & chosen",
        "    return torch.stack([losses.sum(1), hits.sum(1), chosen.sum(1)], dim=1)",
    )
    scores = block(
        "def compute_scores(found, _labels):",
        "    losses, hits, targets = found.astype(float).T",
        "    return {",
        entries,
        '        "loss": losses.sum() / targets.sum(),',
        "    }",
    )
    return stacked(found, scores)
