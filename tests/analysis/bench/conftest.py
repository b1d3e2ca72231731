from __future__ import annotations

import pytest

from tests.runs.children import fork_context
from tunesmith.analysis.bench import compare, contenders


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contenders begin with the libraries loaded; one test starts fresh interpreters.

    Whatever else the machine does, no turn is repeated.
    """
    monkeypatch.setattr(contenders, "get_context", lambda _kind: fork_context())
    monkeypatch.setattr(compare, "calm_rounds", lambda rounds, _most: list(range(len(rounds))))
