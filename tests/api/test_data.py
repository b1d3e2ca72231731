from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import tunesmith as ts
from tunesmith.errors import DataError

ROWS = [{"text": "the soup", "label": "a"}, {"text": "the rice", "label": "b"}]


def test_load_data(tickets: Path, tmp_path: Path) -> None:
    assert list(ts.load_data(str(tickets))) == ["train"]
    assert list(ts.load_data([tickets, tickets])) == ["train"]
    assert list(ts.load_data(pd.DataFrame(ROWS))) == ["train"]
    assert set(ts.load_data("embedded:tickets")) == {"train", "validation", "test"}
    (tmp_path / "gbk.csv").write_bytes("文本;标签\n你好;x\n".encode("gb18030"))
    data = ts.load_data(tmp_path / "gbk.csv", encoding="gb18030", delimiter=";")
    assert [c.name for c in data["train"].columns] == ["文本", "标签"]
    (tmp_path / "headless.csv").write_text("good,a\nbad,b\n")
    data = ts.load_data(tmp_path / "headless.csv", header=["text", "label"])
    assert [len(chunk) for chunk in data["train"].chunks()] == [2]
    with pytest.raises(DataError, match="D114"):
        ts.load_data(ROWS, header=["text", "label"])
