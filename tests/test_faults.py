"""The quick cases of the faults suite; `make faults` runs them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import KINDS, Case, all_cases

QUICK = [(kind, case) for kind, case in all_cases() if case.is_quick]


@pytest.mark.parametrize(
    ("kind", "case"), QUICK, ids=[f"{kind}: {case.name}" for kind, case in QUICK]
)
def test_the_promises_hold(
    kind: str, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert case.run(tmp_path), kind


def test_cases_have_names_of_their_own() -> None:
    names = [(kind, case.name) for kind, case in all_cases()]
    assert len(names) == len(set(names))
    assert {kind for kind, _name in names} <= set(KINDS)
