from __future__ import annotations

import pytest

from tests.runs.children import fork_context
from tunesmith.analysis.bench import contenders, roofline


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contenders begin with the libraries loaded; one test starts fresh interpreters.

    Whatever else the machine does, no turn is repeated.
    """
    monkeypatch.setattr(contenders, "get_context", lambda _kind: fork_context())
    monkeypatch.setattr(roofline, "others_since", lambda _before: 0.0)
    monkeypatch.setattr(roofline, "product_speed", lambda: 1.0)
