from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_a_script_and_a_notebook(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("eject", trained, "--style", "loop", "-o", "plain.py")
    assert output.code == 0
    assert output.out.splitlines() == ["plain.py", "plain.rows.json"]
    assert "python plain.py" in output.err
    output = tunesmith("eject", trained, "--style", "accelerate", "--notebook", "--json")
    (record,) = output.records
    assert record["path"] == "tickets_accelerate.ipynb"
    assert record["left_out"] == {}
    assert json.loads(Path(record["path"]).read_text())["nbformat"] == 4
    assert "tickets_accelerate.ipynb" in output.err


def test_what_cannot_be_ejected(tunesmith: Command, trained: Path) -> None:
    output = tunesmith("eject", "tickts", "--root", trained.parent)
    assert output.code == 2
    assert 'did you mean "tickets"?' in output.err
    Path("there.py").write_text("mine")
    output = tunesmith("eject", trained, "-o", "there.py")
    assert output.code == 2
    assert "R122 there.py" in output.err
    assert Path("there.py").read_text() == "mine"
    assert tunesmith("eject", trained, "-o", "there.py", "--force").code == 0


def test_script_must_not_shadow_a_module(tunesmith: Command, trained: Path) -> None:
    names = ("accelerate", "torch", "datasets", "sklearn", "json", "random", "tunesmith", "yaml")
    for name in names:
        output = tunesmith("eject", trained, "--style", "accelerate", "-o", f"{name}.py", "--force")
        assert output.code == 2
        assert f"R152 {name}.py" in output.err
        assert f"train_{name}.py" in output.err
    assert not list(Path().glob("*.py"))
    for name in ("accelerate.ipynb", "train_accelerate.py", "Json.py"):
        assert tunesmith("eject", trained, "-o", name).code == 0


def test_it_loads_no_torch(trained: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from tunesmith.cli import main
assert main(["eject", {str(trained)!r}, "-o", "light.py"]) == 0
assert not {{"torch", "transformers", "sklearn", "scipy"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_from_python(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.api.runs import Run

    monkeypatch.chdir(tmp_path)
    assert Run(trained).eject("plain.py", style="loop") == Path("plain.py")
    assert "optimizer.step()" in Path("plain.py").read_text()
