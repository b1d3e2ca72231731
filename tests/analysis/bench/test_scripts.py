from __future__ import annotations

from pathlib import Path

import pytest

from tests.analysis.bench.test_contenders import settings
from tests.analysis.bench.test_trainings import first_of
from tunesmith.analysis.bench.scripts import script_steps
from tunesmith.analysis.bench.trainings import tunesmith_steps


def test_the_script_trains_the_same_with_either_class(
    tickets: Path, tiny_bert: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As the recipe does; the drop-in class is not customized by being watched."""
    plain = settings(tickets, tiny_bert)
    recipe = next(tunesmith_steps(plain))
    caplog.set_level("WARNING")
    for drop_in in (True, False):
        script = first_of(script_steps(plain, {}, drop_in=drop_in))
        assert (script.indices, script.tokens) == (recipe.indices, recipe.tokens)
        assert script.loss == pytest.approx(recipe.loss, rel=1e-5)
    assert "transformers' own loop" not in caplog.text
