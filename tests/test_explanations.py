from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs.generate import errors
from docs.generate.codes import SOURCE, Codes, package_codes
from docs.generate.templates import Template

from tunesmith.explanations import LETTERS, Explanation, explanations


def test_every_reported_code_is_explained_and_every_explained_code_reported() -> None:
    assert errors.faults(package_codes()) == []


def test_every_code_in_the_source_is_found() -> None:
    """What the syntax tree shows is all that a search for text finds."""
    written = {
        code
        for path in SOURCE.rglob("*.py")
        for code in re.findall(r'"([A-Z]\d{3})"', path.read_text(encoding="utf-8"))
    }
    assert written == set(package_codes().uses)


def test_codes_are_in_the_file_of_their_letter() -> None:
    for code in explanations():
        assert code[0] in LETTERS


def plain(template: Template) -> str:
    return "".join(piece.text for piece in template)


@pytest.fixture
def planted(tmp_path: Path) -> Codes:
    (tmp_path / "errors.py").write_text(
        "class TunesmithError(Exception):\n    exit_code = 70\n"
        "class DataError(TunesmithError):\n    exit_code = 3\n"
        "class ModelError(TunesmithError):\n    exit_code = 2\n"
    )
    (tmp_path / "some.py").write_text(
        "def one(number):\n"
        '    message = _("not {encoding}").format(encoding=number)\n'
        "    if number:\n"
        '        message += "; " + _("it looks like {guess}")\n'
        '        raise DataError(_problem("D901", message, _("Save it again.")))\n'
        '    raise ModelError.of("D101", message, fix=_FIXES[number])\n'
        "def _problem(code, message, fix):\n"
        "    return Problem(code, message, fix=fix, severity=Severity.ERROR)\n"
        "def three():\n"
        '    raise DataError.of("D102", _("no"))\n'
        '_FIXES = {1: N_("Do this."), 2: N_("Do that.")}\n'
    )
    return Codes(tmp_path)


def test_messages_and_fixes_are_followed_to_their_texts(planted: Codes) -> None:
    (new,), (old,) = planted.uses["D901"], planted.uses["D101"]
    assert list(map(plain, new.messages)) == ["not {encoding}; it looks like {guess}"]
    assert list(map(plain, new.fixes)) == ["Save it again."]
    assert new.exceptions() == {"DataError"}
    assert "not {encoding}" in map(plain, old.messages)
    assert list(map(plain, old.fixes)) == ["Do this.", "Do that."]
    assert old.exceptions() == {"ModelError"}


def test_what_is_missing_is_reported(planted: Codes, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = "\n".join(errors.faults(planted))
    assert "D901: tunesmith.some:5 reports it; explain it" in faults
    assert "D102: tunesmith.some:10 does not say what to do; pass `fix`" in faults
    assert "D203: nothing reports it; remove it" in faults
    assert "D101: its exit code is one of [2]" in faults
    empty = {"D901": Explanation("D901", "A title", "A cause", "", 3)}
    monkeypatch.setattr(errors, "explanations", lambda: empty)
    assert "D901: it needs a title, a cause and a fix" in errors.faults(planted)


@pytest.mark.parametrize(
    ("code", "message", "fix"),
    [
        ("D310", "the text is empty", "Complete or remove the row."),
        ("D311", "the text holds only spaces", "Complete or remove the row."),
        ("R122", "the file exists already", "Name another with {option}."),
        ("M137", "worse than the TF-IDF baseline: {score}", "The TF-IDF baseline may be good"),
        ("D212", "the label {name} often marks a row without one", "If so, remove the rows"),
    ],
)
def test_texts_of_the_package(code: str, message: str, fix: str) -> None:
    uses = package_codes().uses[code]
    assert any(message in plain(text) for use in uses for text in use.messages)
    assert any(plain(text).startswith(fix) for use in uses for text in use.fixes)
    if code == "D311":
        assert not any("is empty" in plain(text) for use in uses for text in use.messages)


def test_the_page_has_an_entry_for_each_code() -> None:
    page = (errors.PAGE).read_text(encoding="utf-8")
    for code in explanations():
        assert f"\n### {code}\n" in page
        assert f"[{code}](#{code.lower()})" in page
    for code, text in errors.EXIT_CODES.items():
        assert f"| `{code}` | {text.english} |" in page
    assert {*package_codes().exit_codes.values()} <= {*errors.EXIT_CODES}
