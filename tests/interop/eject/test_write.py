from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from tests.interop.eject.conftest import Train, working_in
from tests.interop.eject.proof import OTHER_LIBRARIES, RunScript, assert_clean
from tunesmith.api.train import train as train_plainly
from tunesmith.errors import RecipeError
from tunesmith.interop.eject.source_run import STYLES
from tunesmith.interop.eject.write import eject
from tunesmith.runs.folder import RunFolder
from tunesmith.storage import atomic


def test_script_and_notebook_hold_the_same_code(train: Train, desk: Path) -> None:
    folder = train("pair").folder
    with working_in(desk):
        for style in STYLES:
            script = eject(folder, Path(f"same_{style}.py"), style=style).path
            notebook = eject(folder, Path(f"same_{style}.ipynb"), style=style, force=True).path
            assert_same_code(script.read_text(), json.loads(notebook.read_text()))


def assert_same_code(script: str, notebook: dict[str, Any]) -> None:
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert set(notebook) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    code = []
    for cell in notebook["cells"]:
        common = {"cell_type", "id", "metadata", "source"}
        if cell["cell_type"] == "code":
            assert set(cell) == common | {"execution_count", "outputs"}
            code.append("".join(cell["source"]))
        else:
            assert cell["cell_type"] == "markdown"
            assert set(cell) == common
    statements = ast.parse(script).body[1:]  # without the docstring
    assert ast.dump(ast.Module(statements, [])) == ast.dump(ast.parse("\n".join(code)))


def test_nothing_is_overwritten_unasked(train: Train, desk: Path) -> None:
    folder = train("single").folder
    with working_in(desk):
        eject(folder, Path("kept.py"))
        Path("kept.py").write_text("mine")
        with pytest.raises(RecipeError, match="R122") as raised:
            eject(folder, Path("kept.py"))
        assert {str(p.place) for p in raised.value.problems} == {"kept.py", "kept.rows.json"}
        assert Path("kept.py").read_text() == "mine"
        eject(folder, Path("kept.py"), force=True)
        assert "import torch" in Path("kept.py").read_text()


def test_a_kill_between_two_files_leaves_whole_ones_that_the_rerun_takes(
    train: Train, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = train("single").folder
    with working_in(desk):
        whole = eject(folder, Path("unharmed.py"))
        real, placed = atomic.replace_file, []

        def die_at_the_script(path: Path):  # type: ignore[no-untyped-def]
            placed.append(path.name)
            if path.suffix == ".py":
                raise KeyboardInterrupt
            return real(path)

        with monkeypatch.context() as patched:
            patched.setattr(atomic, "replace_file", die_at_the_script)
            with pytest.raises(KeyboardInterrupt):
                eject(folder, Path("cut.py"))
        assert placed == ["cut.rows.json", "cut.py"]
        assert not Path("cut.py").exists()
        assert Path("cut.rows.json").read_bytes() == whole.files[0].read_bytes()
        eject(folder, Path("cut.py"))
        assert Path("cut.py").is_file()
        Path("cut.py").unlink()
        Path("cut.rows.json").write_text("mine")
        with pytest.raises(RecipeError, match=r"R122 cut\.rows\.json"):
            eject(folder, Path("cut.py"))
        assert Path("cut.rows.json").read_text() == "mine" and not Path("cut.py").exists()
        assert not list(Path().glob(".tmp-*"))


def test_what_cannot_be_reproduced_is_named_or_refused(train: Train, desk: Path) -> None:
    folder = train("words", **{"train.micro_batch_size": 3}).folder
    with working_in(desk):
        done = eject(folder, Path("named.py"), style="trainer")
        assert list(done.left_out) == ["train.micro_batch_size"]
        assert "Not reproduced: train.micro_batch_size" in Path("named.py").read_text()
        with pytest.raises(RecipeError, match="R121"):
            eject(folder, Path("refused.py"), style="trainer", strict=True)
        assert not Path("refused.py").exists()
        assert not eject(folder, Path("whole.py"), style="loop", strict=True).left_out


def test_a_style_that_is_not_there(train: Train, desk: Path) -> None:
    with pytest.raises(RecipeError, match='did you mean "trainer"'):
        eject(train("single").folder, desk / "x.py", style="trainr")


@pytest.mark.filterwarnings(*OTHER_LIBRARIES)
def test_embedded_data_and_model_are_next_to_the_script(
    desk: Path, monkeypatch: pytest.MonkeyPatch, run_script: RunScript
) -> None:
    """They have plain names nowhere; and without rows to score nothing is scored."""
    monkeypatch.chdir(desk)
    run = train_plainly(
        "embedded:ratings",
        model="embedded:mini",
        settings={"train.max_steps": 1, "data.validation": None, "data.test": None},
    )
    done = eject(RunFolder(run.folder), Path("ratings.py"), style="loop")
    assert {str(p) for p in done.files} == {"ratings.train.jsonl", "ratings-start"}
    assert "tunesmith" not in done.path.read_text().lower()
    assert_clean(done.path)
    names = run_script(done.path)
    assert len(names["losses"]) == 1
    assert (desk / "ratings-model" / "model.safetensors").is_file()
    start = desk / "ratings-start"
    done.path.unlink()
    eject(RunFolder(run.folder), Path("ratings.py"), style="loop")  # the very same is no conflict
    (start / "config.json").write_text("{}")
    with pytest.raises(RecipeError, match="R122"):
        eject(RunFolder(run.folder), Path("ratings.py"), style="loop")
    eject(RunFolder(run.folder), Path("ratings.py"), style="loop", force=True)
    assert atomic.damage(start) is None
    assert [p.name for p in desk.glob(".bad-*")] and not list(desk.glob(".tmp-*"))
