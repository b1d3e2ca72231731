from __future__ import annotations

import io
import json
import sys

import pytest
from rich.console import Console

from tunesmith.api.display.terminal import Terminal, rich_bar, sparkline
from tunesmith.errors import Place, Problem, Severity


def test_a_console_without_our_characters_does_not_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii"))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    Terminal.of({"as_json": False, "quiet": False}).say("a → b … 打印机")
    sys.stderr.flush()
    assert raw.getvalue().decode() == "a -> b ... ???\n"


def test_chinese_windows_consoles(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="gbk"))
    Terminal().say("打印机 ✔ 好")
    sys.stderr.flush()
    assert raw.getvalue().decode("gbk") == "打印机 ok 好\n"


def test_secrets_are_never_printed(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().say("token hf_abcdefghijklmnop")
    assert "abcdef" not in capsys.readouterr().err


def test_quiet_keeps_errors(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = Terminal(is_quiet=True)
    quiet.problems([Problem("D1", "bad"), Problem("D2", "odd", severity=Severity.WARNING)])
    quiet.say("chat")
    assert capsys.readouterr().err == "error D1: bad\n"


def test_tables_count_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().table([{"run": "打印机", "n": 5}, {"run": "ab", "n": 12}], align_right=["n"])
    Terminal().table([])
    assert capsys.readouterr().out.splitlines() == ["run      n", "打印机   5", "ab      12"]


def test_no_bar_where_no_one_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Terminal().is_interactive
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for name in ("CI", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert Terminal().is_interactive
    monkeypatch.setenv("TERM", "dumb")
    assert not Terminal().is_interactive


def test_a_sparkline_goes_from_the_lowest_to_the_highest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([3.0, 3.0]) == "▁▁"
    assert sparkline([]) == ""
    many = sparkline([float(i) for i in range(1000)], width=40)
    assert len(many) == 40
    assert list(many) == sorted(many)


def test_a_sparkline_survives_a_console_without_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii"))
    Terminal().say(sparkline([0, 1, 2, 3, 4, 5, 6, 7]))
    sys.stderr.flush()
    assert raw.getvalue().decode() == "_.-~=+*#\n"


class Unknown(io.TextIOWrapper):
    """A stream with an encoding that Python does not know."""

    encoding = "x-mac-unknown"  # type: ignore[assignment]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "gbk", "utf-8", None])
def test_json_loses_no_character_on_any_console(
    encoding: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding) if encoding else Unknown(raw, "utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    value = {"text": "the café 打印机 🖨 costs €5 →", "label": "订购"}
    Terminal(as_json=True).record(value)
    stream.flush()
    assert json.loads(raw.getvalue().decode(encoding or "ascii")) == value


def test_no_text_of_a_row_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\x1b[2J\r\nb\x9b\u202e\ud800\u2028"
    spelled = r"a\u001b[2J\u000d\u000ab\u009b\u202e\ud800\u2028"
    Terminal().result(hostile)
    Terminal().lines(f"{{\n\t{spelled}\n}}")
    Terminal().table([{"text": hostile}])
    Terminal(as_json=True).record({"text": hostile})
    Terminal().say(hostile)
    Terminal().problems([Problem("D999", hostile, Place(hostile), (hostile,), fix="a\nb\r")])
    said = capsys.readouterr()
    *plain, record = said.out.splitlines()
    assert plain == [spelled, "{", f"\t{spelled}", "}", "text", spelled]
    assert json.loads(record) == {"text": hostile}
    assert said.err.splitlines() == [
        spelled,
        f"error D999 {spelled}: {spelled}",
        f"  {spelled}",
        "  a",
        r"  b\u000d",
    ]


def test_a_bar_shows_how_far_it_is_and_leaves_nothing_but_lines() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, color_system=None)
    with rich_bar(console, 20) as bar:
        bar.update(5, epoch="epoch 0.25", rate="0.10 s/it", text="loss 0.5")
        bar.print("a line [bold] that stays")
    drawn = out.getvalue()
    for words in ("epoch 0.25", "5/20", "0.10 s/it", "loss 0.5", "a line"):
        assert words in drawn
    assert drawn.endswith("\x1b[2K")


def test_where_nothing_can_be_redrawn_there_is_none() -> None:
    with Terminal(is_quiet=True).bar(10) as bar:
        assert bar is None


def test_colors_are_for_terminals_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    Terminal().result("fine", style="good")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    Terminal().result("a\x1b[2J", style="good")
    Terminal().table([{"score": 1}])
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as context:
            context.setenv(name, value)
            Terminal().result("plain", style="good")
    green, soft, off = "\x1b[1;32m", "\x1b[2m", "\x1b[0m"
    lines = ["fine", rf"{green}a\u001b[2J{off}", f"{soft}score{off}", "1", "plain", "plain"]
    assert capsys.readouterr().out.splitlines() == lines


def test_the_first_line_of_a_problem_is_colored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    Terminal().problems(
        [Problem("D1", "bad", fix="change it"), Problem("D2", "odd", severity=Severity.NOTE)]
    )
    assert capsys.readouterr().err.splitlines() == [
        "\x1b[1;31merror D1: bad\x1b[0m",
        "  change it",
        "\x1b[2mnote D2: odd\x1b[0m",
    ]
