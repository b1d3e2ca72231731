from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from tunesmith.metrics.scores import METRICS, compute
from tunesmith.tasks import TASKS, task_named
from tunesmith.tasks.default_methods import TaskDefaults
from tunesmith.tasks.script_parts import sklearn_metrics

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_can_be_written_as_a_script(name: str) -> None:
    assert task_named(name).script_parts is not TaskDefaults.script_parts


@pytest.mark.parametrize("name", ["accuracy", "f1", "precision_macro", "recall_micro"])
def test_expressions_compute_our_metrics(name: str) -> None:
    truth, predicted = RANDOM.integers(0, 3, 50), RANDOM.integers(0, 3, 50)
    code = sklearn_metrics([name], positive=2)[name]
    value = eval(code, {**vars(metrics), "truth": truth, "predicted": predicted})
    ours = compute([METRICS[name]], predicted, truth, positive=2)
    assert value == pytest.approx(ours[name], rel=1e-12)
