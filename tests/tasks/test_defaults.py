from __future__ import annotations

import numpy as np

from tunesmith.data.batches import Batch, Examples
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Encoded, hold_in_memory
from tunesmith.data.rows import Row
from tunesmith.tasks import TASKS, task_named
from tunesmith.tasks.defaults import TaskDefaults


class Bare(TaskDefaults):
    roles = Roles("one", "two")


def test_a_task_without_named_labels_has_none() -> None:
    row = Row(0, {"one": "a", "two": "b"})
    bare, batch = Bare(), Batch({}, None, 0, 0, np.arange(0))
    assert bare.texts_of(row) == ("a", "b")
    assert (bare.has_named_labels, bare.label_counts, bare.labels_of(row)) == (False, {}, ())
    assert bare.label_values(()) == {}
    assert bare.corrupt(batch, seed=1) is batch and bare.with_tokenizer(None) is bare
    assert bare.baselines([row], [row]) == {} and bare.targets([row, row]).tolist() == [0, 0]
    assert bare.constant([row]) is None and bare.encode_answers([{"label": "a"}]) is None
    count, predictions = np.arange(2), {"logits": np.zeros((2, 3))}
    examples = Examples(hold_in_memory(Encoded({}, {}, count, count)))
    assert bare.join(predictions, examples) is predictions
    assert bare.truth(examples, iter([row, row])).tolist() == [0, 0]


def test_every_task_has_them() -> None:
    assert all(issubclass(task_named(name), TaskDefaults) for name in TASKS)
