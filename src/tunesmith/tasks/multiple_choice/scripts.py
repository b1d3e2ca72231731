"""Multiple choice as code for a script: each choice with its question, and the highest logit."""

from __future__ import annotations

from tunesmith.data.rows import Row
from tunesmith.i18n import gettext as _
from tunesmith.tasks.multiple_choice.rows import place_of, read_question
from tunesmith.tasks.protocol import Task
from tunesmith.tasks.script_parts import (
    ScriptCode,
    ScriptParts,
    ScriptTargets,
    TargetExpression,
    sklearn_metrics,
)

__all__ = ["choice_parts"]

_ENCODE = """\
def encode(rows):
    firsts = [text for text, ends in zip(rows[TEXT], rows[TEXT_PAIR]) for _end in ends]
    seconds = [end for ends in rows[TEXT_PAIR] for end in ends]
    encoded = tokenizer(firsts, seconds, truncation="only_first", max_length=MAX_LENGTH)
    grouped = {
        name: [values[i : i + CHOICES] for i in range(0, len(values), CHOICES)]
        for name, values in encoded.items()
    }
    return {**grouped, "labels": rows[LABEL]}


data = raw.map(encode, batched=True, remove_columns=COLUMNS)
collate_choices = DataCollatorForMultipleChoice(tokenizer)


def collate(rows):
    return BatchEncoding(collate_choices(rows))
"""


def choice_parts(task: Task, count: int) -> ScriptParts:
    """Rows of so many choices each: cross entropy, the choice with the highest logit."""
    roles = task.roles

    def record(row: Row) -> dict[str, object]:
        question = read_question(row, roles)
        return {"text": question.first, "text_pair": [second for _first, second in question.pairs]}

    return ScriptParts(
        model_class=task.model_class,
        constants=[("CHOICES", count, _("per row"))],
        scores="predicted, truth = logits.argmax(axis=-1), labels\n"
        "loss = cross_entropy(torch.as_tensor(logits), torch.as_tensor(labels))",
        metrics={**sklearn_metrics(task.metrics), "loss": "loss.item()"},
        loss_sum='cross_entropy(outputs.logits, labels, reduction="sum")',
        targets=ScriptTargets(
            (TargetExpression("rows[LABEL]", "", int, value_type=int),),
            task.targets,
            lambda row: place_of(row, roles),
        ),
        encode=ScriptCode(
            _ENCODE,
            (
                _(
                    "Each choice is a sequence of its own: the text, then the question and the "
                    "choice. Only the text is cut."
                ),
            ),
        ),
        record=record,
    )
