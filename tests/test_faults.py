"""The quick cases of the faults suite; `make faults` runs them all."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

for module in ("fcntl", "resource"):  # most faults are made of forks, signals, links and limits
    pytest.importorskip(module)

from tests.faults import KINDS, Case, Skipped, all_cases, report  # noqa: E402

QUICK = [(kind, case) for kind, case in all_cases() if case.is_quick]


@pytest.mark.parametrize(
    ("kind", "case"), QUICK, ids=[f"{kind}: {case.name}" for kind, case in QUICK]
)
def test_the_promises_hold(
    kind: str, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        assert case.run(tmp_path), kind
    except Skipped as reason:
        pytest.skip(str(reason))


OF_JOBS = (
    ("killed_jobs", "2 by plain, a save"),
    ("signals", "launch: a stop at a step"),
    ("network", "two nodes, undisturbed"),
)
"""One case of each kind that starts several processes."""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), OF_JOBS, ids=[kind for kind, _name in OF_JOBS])
def test_jobs(kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = (case for _kind, case in all_cases(kind) if name in case.name)
    test_the_promises_hold(kind, case, tmp_path, monkeypatch)


def test_every_kind_has_cases_with_names_of_their_own() -> None:
    names = [(kind, case.name) for kind, case in all_cases()]
    assert len(names) == len(set(names)) >= 400
    counts = Counter(kind for kind, _name in names)
    assert list(counts) == list(KINDS) and min(counts.values()) >= 20
    assert {kind for kind, _case in QUICK} == set(KINDS) - {kind for kind, _name in OF_JOBS}


def test_the_page_counts_them() -> None:
    """`docs/explanation/reliability.md` says how many cases there are of each kind."""
    page = Path(__file__).parents[1] / "docs" / "explanation" / "reliability.md"
    table = page.read_text(encoding="utf-8").partition("<!-- cases -->")[2]
    written = re.findall(r"^\| (\w+) \| .* \| (\d+) \|$", table, re.MULTILINE)
    counts = Counter(kind for kind, _case in all_cases())
    assert {kind: int(count) for kind, count in written} == counts


def test_the_page_shows_the_results() -> None:
    """`python -m tests.faults --results tests/faults/results.json`, then `... .report`."""
    results = report.read_results()
    assert [kind for kind in KINDS if kind in results] == list(results)
    assert "network" in results
    for kind, one in results.items():
        assert one["cases"] == one["held"] + one["skipped"] + len(one["failed"]), kind
    for language, path in report.pages().items():
        page = path.read_text(encoding="utf-8")
        assert report.with_results(page, language, results) == page, language
