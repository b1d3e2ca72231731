from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tunesmith.api import Run, train
from tunesmith.commit import damage
from tunesmith.errors import IntegrityError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Run:
    rows = [
        {"text": f"the {'soup' if i % 2 else 'rice'} {i} is good", "label": "ab"[i % 2]}
        for i in range(40)
    ]
    test = [{"text": row["text"] + " again", "label": row["label"]} for row in rows[:9]]
    out = tmp_path_factory.mktemp("finish") / "run"
    return train(
        {"train": rows, "test": test}, out=out, model=str(tiny_bert), settings={"train.epochs": 1}
    )


def test_predictions_hold_a_row_per_example(run: Run) -> None:
    table = pq.read_table(run.folder / "predictions" / "test.parquet")
    assert table.column_names == ["row", "text", "label", "predicted", "score", "scores"]
    rows = table.to_pylist()
    assert [row["row"] for row in rows] == list(range(9))
    assert rows[3]["text"] == "the soup 3 is good again"
    right = sum(row["predicted"] == row["label"] for row in rows)
    assert run.test_scores["accuracy"] == pytest.approx(right / 9)
    assert rows[0]["score"] == pytest.approx(rows[0]["scores"][rows[0]["predicted"]])
    validation = pq.read_table(run.folder / "predictions" / "validation.parquet")
    assert len(validation) == 4


def test_the_model_folder_is_whole_and_says_all(run: Run) -> None:
    assert damage(run.model) is None
    facts = json.loads((run.model / "tunesmith.json").read_text())
    assert facts["task"]["task"] == "text-classification"
    assert facts["scores"]["test"] == run.test_scores
    assert facts["best"] == "f1"
    assert facts["steps"] == 5
    assert facts["train_seconds"] > 0
    assert facts["samples_per_second"] > 0


def test_a_damaged_best_is_not_used(
    tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunesmith.run import conduct

    real = conduct.finish

    def spoil(session, **more):  # type: ignore[no-untyped-def]
        best = session.progress.best_step
        folder = session.run.checkpoints / f"step-{best:08d}"
        (folder / "model.safetensors").write_bytes(b"")
        session.progress.step += best == session.progress.step  # so that it is not the last one
        return real(session, **more)

    monkeypatch.setattr(conduct, "finish", spoil)
    rows = [{"text": f"soup {i}", "label": "ab"[i % 2]} for i in range(20)]
    with pytest.raises(IntegrityError, match="C102"):
        train(rows, out=tmp_path / "run", model=str(tiny_bert), settings={"train.epochs": 1})
    assert not (tmp_path / "run" / "model").exists()
