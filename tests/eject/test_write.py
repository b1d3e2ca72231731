"""The proof: scripts without us give the losses and the scores of the exact engine."""

from __future__ import annotations

import ast
import json
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.eject.conftest import KINDS, Train, working_in
from tunesmith import commit
from tunesmith.api import train as train_plainly
from tunesmith.eject.facts import STYLES
from tunesmith.eject.write import eject
from tunesmith.errors import RecipeError
from tunesmith.run.folder import RunFolder

RunScript = Callable[[Path], dict[str, Any]]
RUFF = Path(sysconfig.get_path("scripts")) / "ruff"
CORRELATIONS = {"pearson", "spearman"}
"""Of answers that hardly differ, as of a model that has learnt nothing, these are rounding alone;
`test_scoring` compares them on the same numbers."""
OTHER_LIBRARIES = ("ignore::UserWarning", "ignore::FutureWarning")


def assert_same_numbers(found: dict[str, Any], losses: list[float], scores: Any) -> None:
    np.testing.assert_allclose(found["losses"], losses, rtol=1e-6)
    theirs = {name.removeprefix("validation_"): value for name, value in found["scores"].items()}
    for name in scores.keys() - CORRELATIONS:
        value = scores[name]
        assert theirs[name] == pytest.approx(value, rel=1e-5), name


def assert_clean(path: Path) -> None:
    for words in (["format", "--diff", "--line-length", "100"], ["check"]):
        done = subprocess.run(
            [RUFF, words[0], "--isolated", *words[1:], path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.filterwarnings(*OTHER_LIBRARIES)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_scores_are_those_of_the_exact_engine(
    kind: str, style: str, train: Train, desk: Path, run_script: RunScript
) -> None:
    """With the model's own dropout, in every style."""
    trained = train(kind)
    path = desk / f"{kind}_{style}.py"
    with working_in(desk):
        eject(trained.folder, path.relative_to(desk), style=style)
    assert "tunesmith" not in path.read_text().lower()
    assert_clean(path)
    assert_same_numbers(run_script(path), trained.losses, trained.run.scores)


OTHERWISE: dict[str, object] = {
    "train.micro_batch_size": 4,
    "train.early_stopping": "1 evaluations",
    "train.evaluate_every": "0.35 epochs",
    "train.weight_decay": 0.1,
    "train.warmup": "20%",
    "train.schedule": "polynomial",
    "train.max_grad_norm": 0.1,
    "train.freeze": ["embeddings", "*.attention.self.query.*"],
    "train.dropout": 0.2,
    "train.best": "loss",
    "data.test": "20%",
}


@pytest.mark.filterwarnings(*OTHER_LIBRARIES)
@pytest.mark.parametrize("style", STYLES)
def test_every_setting_has_its_plain_equal(
    style: str, train: Train, desk: Path, run_script: RunScript
) -> None:
    trained = train("single", **OTHERWISE)
    path = desk / f"otherwise_{style}.py"
    with working_in(desk):
        done = eject(trained.folder, path.relative_to(desk), style=style, strict=True)
    assert not done.left_out
    assert_clean(path)
    found = run_script(path)
    assert_same_numbers(found, trained.losses, trained.run.scores)
    test = {name.removeprefix("test_"): value for name, value in found["test_scores"].items()}
    assert test["loss"] == pytest.approx(trained.run.test_scores["loss"], rel=1e-5)


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
        with pytest.raises(RecipeError, match="R122") as told:
            eject(folder, Path("kept.py"))
        assert {str(p.place) for p in told.value.problems} == {"kept.py", "kept.rows.json"}
        assert Path("kept.py").read_text() == "mine"
        eject(folder, Path("kept.py"), force=True)
        assert "import torch" in Path("kept.py").read_text()


def test_a_kill_between_two_files_leaves_whole_ones_that_the_rerun_takes(
    train: Train, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = train("single").folder
    with working_in(desk):
        whole = eject(folder, Path("unharmed.py"))
        real, placed = commit.replace_file, []

        def die_at_the_script(path: Path):  # type: ignore[no-untyped-def]
            placed.append(path.name)
            if path.suffix == ".py":
                raise KeyboardInterrupt
            return real(path)

        with monkeypatch.context() as patched:
            patched.setattr(commit, "replace_file", die_at_the_script)
            with pytest.raises(KeyboardInterrupt):
                eject(folder, Path("cut.py"))
        assert placed == ["cut.rows.json", "cut.py"]
        assert not Path("cut.py").exists()
        assert Path("cut.rows.json").read_bytes() == whole.beside[0].read_bytes()
        eject(folder, Path("cut.py"))
        assert Path("cut.py").is_file()
        Path("cut.py").unlink()
        Path("cut.rows.json").write_text("mine")
        with pytest.raises(RecipeError, match=r"R122 cut\.rows\.json"):
            eject(folder, Path("cut.py"))
        assert Path("cut.rows.json").read_text() == "mine" and not Path("cut.py").exists()
        assert not list(Path().glob(".tmp-*"))


def test_what_has_no_equal_is_named_or_refused(train: Train, desk: Path) -> None:
    folder = train("words", **{"train.micro_batch_size": 3}).folder
    with working_in(desk):
        done = eject(folder, Path("named.py"), style="trainer")
        assert [found.key for found in done.left_out] == ["train.micro_batch_size"]
        assert "Not as in the run: train.micro_batch_size" in Path("named.py").read_text()
        with pytest.raises(RecipeError, match="R121"):
            eject(folder, Path("refused.py"), style="trainer", strict=True)
        assert not Path("refused.py").exists()
        assert not eject(folder, Path("whole.py"), style="loop", strict=True).left_out


def test_a_style_that_is_not_there(train: Train, desk: Path) -> None:
    with pytest.raises(RecipeError, match='did you mean "trainer"'):
        eject(train("single").folder, desk / "x.py", style="trainr")


@pytest.mark.filterwarnings(*OTHER_LIBRARIES)
def test_embedded_data_and_model_lie_beside_the_script(
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
    assert {str(p) for p in done.beside} == {"ratings.train.jsonl", "ratings-start"}
    assert "tunesmith" not in done.path.read_text().lower()
    assert_clean(done.path)
    found = run_script(done.path)
    assert len(found["losses"]) == 1
    assert (desk / "ratings-model" / "model.safetensors").is_file()
    start = desk / "ratings-start"
    done.path.unlink()
    eject(RunFolder(run.folder), Path("ratings.py"), style="loop")  # the very same is no conflict
    (start / "config.json").write_text("{}")
    with pytest.raises(RecipeError, match="R122"):
        eject(RunFolder(run.folder), Path("ratings.py"), style="loop")
    eject(RunFolder(run.folder), Path("ratings.py"), style="loop", force=True)
    assert commit.damage(start) is None
    assert [p.name for p in desk.glob(".bad-*")] and not list(desk.glob(".tmp-*"))
