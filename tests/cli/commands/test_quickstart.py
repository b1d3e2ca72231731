from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.short_lessons import short_lessons
from tests.cli.conftest import Command
from tests.doc_outputs import NUMBER, agree
from tests.doc_twins import ZH, code_blocks

__all__ = ["short_lessons"]  # the fixture

pytestmark = pytest.mark.usefixtures("short_lessons")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(_socket: socket.socket, address: object) -> None:
        raise AssertionError(f"a connection to {address}")

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="namespaces cannot be made here")
def test_without_network_and_home(tmp_path: Path) -> None:
    """The command itself, whole, where no address can be reached and nothing was cached."""
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LANG": "zh_CN.UTF-8"}
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-m", "tunesmith", "quickstart"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare failed" in done.stderr:
        pytest.skip("namespaces are not allowed here")
    assert done.returncode == 0, done.stderr
    assert "未经预训练的同一编码器" in done.stdout
    assert (tmp_path / "runs" / "quickstart" / "pairs" / "mini" / "model").is_dir()
    for page in (ZH / "index.md", ZH / "start.md"):
        (shown,) = (block.code for block in code_blocks(page) if "TF-IDF " in block.code)
        scores = [line for line in shown.splitlines() if len(NUMBER.findall(line)) == 2]
        assert len(scores) == 4
        for line in scores:
            assert any(agree(line, other) for other in done.stdout.splitlines()), line


def test_quickstart_shows_every_stage(tunesmith: Command, tmp_path: Path) -> None:
    out = tmp_path / "tour"
    output = tunesmith("quickstart", "--task", "tickets", "--out", out)
    assert output.code == 0
    for words in (
        "the data: embedded:tickets",
        "[CLS]",
        "a batch of 8 x",
        "fine-tuning",
        "points of",
    ):
        assert words in output.err, words
    assert "TF-IDF baseline" in output.out and "encoder without pretraining" in output.out
    assert "→ " in output.out
    assert output.err.rstrip().splitlines()[-2].strip() == "tunesmith train my.csv"
    assert (out / "tickets" / "mini" / "model" / "model.safetensors").is_file()


def test_finished_runs_are_not_repeated(tunesmith: Command, tmp_path: Path) -> None:
    first, second = (
        tunesmith("quickstart", "--task", "tickets", "--out", tmp_path / "tour") for _time in "ab"
    )
    assert first.out == second.out
    assert "already finished" not in first.err and "already finished" in second.err


def test_in_chinese(tunesmith: Command, tmp_path: Path) -> None:
    output = tunesmith(
        "quickstart", "--task", "tickets", "--out", tmp_path / "tour", "--lang", "zh"
    )
    assert output.code == 0
    assert "数据：embedded:tickets" in output.err and "未经预训练的同一编码器" in output.out
    assert "蘑菇汤" in output.out


def test_as_json(tunesmith: Command, tmp_path: Path) -> None:
    output = tunesmith("quickstart", "--task", "ratings", "--out", tmp_path / "tour", "--json")
    assert output.code == 0
    record = json.loads(output.out.splitlines()[-1])
    assert set(record["scores"]) == {
        "constant", "tfidf", "embedded:mini-untrained", "embedded:mini",
    }  # fmt: skip
    assert record["task"] == "ratings" and record["answer"]["texts"]
