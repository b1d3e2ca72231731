"""No console makes a command fail: whatever characters it has, in both languages."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.cli import main
from tunesmith.i18n import use_language

ENCODINGS = (
    "ascii",
    "latin-1",
    "cp437",
    "cp850",
    "cp1252",
    "cp936",
    "gb18030",
    "big5",
    "shift_jis",
)


@pytest.fixture(autouse=True)
def _language_of_before() -> Iterator[None]:
    yield
    use_language("en")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_console_that_lacks_characters_shows_others(
    language: str, encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("工单.csv").write_text("text,label\ncafé 🖨,修理\n你好 →,Kauf €\n" * 9, encoding="utf-8")
    for words, code in (
        (["--help"], 0), (["train", "--help"], 0), (["check", "工单.csv"], 3),
        (["runs", "list"], 0), (["predict", "运行", "你好"], 2), (["predcit"], 2),
        (["check", "缺失.csv"], 3),
    ):  # fmt: skip
        streams = [io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2)]
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        assert main([*words, "--lang", language]) == code, words
        for stream in streams:
            stream.flush()
        written = [stream.buffer.getvalue().decode(encoding, "replace") for stream in streams]  # type: ignore[attr-defined]
        assert any(written) and "Traceback" not in written[1]
