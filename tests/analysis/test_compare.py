from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.runs.sealed import resealed
from tunesmith.analysis.compare import compare_runs
from tunesmith.api.runs import Run
from tunesmith.api.train import train
from tunesmith.errors import IntegrityError, Problem, RecipeError
from tunesmith.runs.folder import RunFolder
from tunesmith.storage import notices

KINDS = ("classes", "labels", "numbers")


def rows_of(kind: str, count: int) -> list[dict[str, object]]:
    words = ["soup", "rice", "phone"]
    label: list[object] = (
        ["a", "b", "c"] if kind == "classes" else [["a"], ["a", "b"], []] if kind == "labels"
        else [0.5, 2.5, 3.5]
    )  # fmt: skip
    return [
        {"text": f"the {words[i % 3]} {i} is good", "label": label[i % 3]} for i in range(count)
    ]


@pytest.fixture(scope="module", params=KINDS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path
) -> tuple[RunFolder, RunFolder]:
    """Two runs on the same rows."""
    folder = tmp_path_factory.mktemp("compare")
    data = {"train": rows_of(request.param, 42)[12:], "validation": rows_of(request.param, 12)}
    task = {"labels": "multi-label-classification", "numbers": "text-regression"}
    runs = [
        train(
            data, out=folder / name, model=str(tiny_bert),
            settings={"train.max_steps": 2, "train.seed": seed, "train.learning_rate": 1e-3,
                      "task": task.get(request.param, "text-classification")},
        )
        for name, seed in (("one", 1), ("two", 2))
    ]  # fmt: skip
    return RunFolder(runs[0].folder), RunFolder(runs[1].folder)


def test_what_was_written_scores_as_it_did(pair: tuple[RunFolder, RunFolder]) -> None:
    """The predictions of a file, read again, have the scores that the run reported."""
    (comparison,) = compare_runs(*pair).values()
    assert comparison.rows == 12
    for run, side in zip(pair, ("first", "second"), strict=True):
        for name, value in run.facts()["scores"]["validation"].items():
            if value is not None:
                reported = getattr(comparison.scores[name], side)
                assert reported == pytest.approx(value, rel=1e-4, abs=1e-5), name
    json.dumps(comparison.as_json(), allow_nan=False)


def test_a_run_and_itself(pair: tuple[RunFolder, RunFolder]) -> None:
    comparison = compare_runs(pair[0], pair[0])["validation"]
    assert all(
        reported.change == 0 and not reported.is_sure for reported in comparison.scores.values()
    )
    if comparison.changes is not None:
        assert (comparison.changes.fixed, comparison.changes.broken) == ([], [])
        assert comparison.changes.p_value == 1.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Run:
    data = {"train": rows_of("classes", 42)[12:], "validation": rows_of("classes", 12)}
    return train(
        data, out=tmp_path_factory.mktemp("compare") / "run", model=str(tiny_bert),
        settings={"train.max_steps": 1},
    )  # fmt: skip


@pytest.fixture
def other(run: Run, tmp_path: Path) -> RunFolder:
    """A copy to be changed."""
    return RunFolder(Path(shutil.copytree(run.folder, tmp_path / "other")))


def rewrite(run: RunFolder, **changes: list[object]) -> None:
    with resealed(run) as folder:
        table = pq.read_table(folder / "validation.parquet").to_pydict()
        pq.write_table(pa.table(table | changes), folder / "validation.parquet")


def test_fixed_and_broken_rows_are_named(run: Run, other: RunFolder) -> None:
    """Answers written by hand: the second model is right where it answers c, and only there."""
    first = RunFolder(Path(shutil.copytree(run.folder, other.path.parent / "first")))
    rewrite(first, scores=[{"a": 0.8, "b": 0.1, "c": 0.1}] * 12)
    rewrite(other, scores=[{"a": 0.1, "b": 0.1, "c": 0.8}] * 12)
    changes = compare_runs(first, other)["validation"].changes
    assert changes is not None
    assert changes.fixed == [2, 5, 8, 11]
    assert changes.broken == [0, 3, 6, 9]


@pytest.mark.parametrize(
    ("column", "words"),
    [("text", 'row 3 is "the soup 3 is good" here'), ("label", "row 3 has another label")],
)
def test_other_rows_are_refused(run: Run, other: RunFolder, column: str, words: str) -> None:
    values = pq.read_table(other.predictions / "validation.parquet")[column].to_pylist()
    values[3] = "b" if column == "label" else "else"
    rewrite(other, **{column: values})
    with pytest.raises(RecipeError, match="R160") as caught:
        compare_runs(RunFolder(run.folder), other)
    assert words in str(caught.value)


def test_a_split_with_other_rows_is_left_out_if_another_has_the_same(
    tmp_path: Path, tiny_bert: Path
) -> None:
    """As after corrections: random validation rows differ, those of a test file do not."""
    rows = rows_of("classes", 60)
    pair = []
    for seed in (1, 2):
        settings = {"train.max_steps": 1, "data.seed": seed, "data.test": "test"}
        data = {"train": rows[12:], "test": rows[:12]}
        out = tmp_path / str(seed)
        run = train(data, out=out, model=str(tiny_bert), validation="20%", settings=settings)
        pair.append(RunFolder(run.folder))
    notes: list[Problem] = []
    with notices.listening(notes.append):
        comparisons = compare_runs(*pair)
    assert list(comparisons) == ["test"]
    assert [(note.code, str(note.severity)) for note in notes] == [("R160", "note")]


def test_fewer_rows_are_refused(run: Run, other: RunFolder) -> None:
    with resealed(other) as folder:
        path = folder / "validation.parquet"
        pq.write_table(pq.read_table(path).slice(0, 5), path)
    with pytest.raises(RecipeError, match="R160") as caught:
        compare_runs(RunFolder(run.folder), other)
    assert "12 here, 5 in" in str(caught.value)


def test_predictions_that_are_damaged_or_gone(run: Run, other: RunFolder) -> None:
    path = other.predictions / "validation.parquet"
    path.write_bytes(b"")
    with pytest.raises(IntegrityError, match="C132"):
        compare_runs(RunFolder(run.folder), other)
    shutil.rmtree(other.predictions)
    with pytest.raises(IntegrityError, match="C132"):
        compare_runs(RunFolder(run.folder), other)
    with resealed(RunFolder(Path(shutil.copytree(run.folder, other.path.parent / "gone")))) as gone:
        (gone / "validation.parquet").unlink()
    with pytest.raises(RecipeError, match="R162"):
        compare_runs(RunFolder(run.folder), RunFolder(gone.parent))


def test_a_column_with_the_name_of_an_answer(tmp_path: Path, tiny_bert: Path) -> None:
    """Labels in a column "score" are next to the model's own scores."""
    rows = [{"text": f"the soup {i} is good", "score": "ab"[i % 2]} for i in range(42)]
    data = {"train": rows[12:], "validation": rows[:12]}
    settings = {"train.max_steps": 2, "data.label": "score"}
    run = RunFolder(
        train(data, out=tmp_path / "run", model=str(tiny_bert), settings=settings).folder
    )
    (comparison,) = compare_runs(run, run).values()
    accuracy = comparison.scores["accuracy"]
    assert accuracy.first == run.facts()["scores"]["validation"]["accuracy"]


def change_task(run: RunFolder, **changes: object) -> None:
    path = run.model / "tunesmith.json"
    facts = json.loads(path.read_text())
    facts["task"] |= changes
    path.write_text(json.dumps(facts))


def test_other_classes_are_refused_and_another_order_is_not(run: Run, other: RunFolder) -> None:
    first = RunFolder(run.folder)
    expected = compare_runs(first, first)
    change_task(other, labels=["c", "a", "b"])
    assert compare_runs(first, other) == expected
    change_task(other, labels=["a", "b", "z"])
    with pytest.raises(RecipeError, match="R161") as caught:
        compare_runs(first, other)
    assert '"c", "z"' in str(caught.value)


def test_an_unfinished_run_has_nothing_to_compare(run: Run, other: RunFolder) -> None:
    shutil.rmtree(other.model)
    assert compare_runs(RunFolder(run.folder), other) == {}
