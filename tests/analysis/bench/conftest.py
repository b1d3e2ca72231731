from __future__ import annotations

import pytest

from tests.runs.children import fork_context
from tunesmith.analysis.bench import contenders


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contenders begin with the libraries loaded; one test starts fresh interpreters."""
    monkeypatch.setattr(contenders, "get_context", lambda _kind: fork_context())
