"""Cases planted by training for real: what is wrong with each is known, and the key to fix it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.conftest import WORDS, make_tiny_bert, ticket_rows
from tunesmith.analysis.curves.diagnosis import Diagnosis
from tunesmith.analysis.curves.explain import curves_of, explain
from tunesmith.analysis.curves.noise import Confidence
from tunesmith.api.runs import Run
from tunesmith.api.train import train
from tunesmith.errors import IntegrityError
from tunesmith.runs.folder import RunFolder

Planted = Callable[..., RunFolder]

ACCUSING = {
    Diagnosis.DIVERGED,
    Diagnosis.TOO_HIGH,
    Diagnosis.ERRATIC,
    Diagnosis.COLLAPSED,
    Diagnosis.UNDERFITTING,
    Diagnosis.OVERFITTING,
}
COMMON = {
    "data.validation": "40%",
    "train.batch_size": 16,
    "train.log_every": 4,
    "train.save_every": None,
    "metrics": ["accuracy"],
    "train.disable": ["process"],
}


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Trains on a hundred tickets or so and gives the folder, also where training diverges."""
    home = tmp_path_factory.mktemp("planted")
    model = make_tiny_bert(home / "bert", dropout=0.0)

    header, *rows = ticket_rows(160)
    tickets = [dict(zip(header, row, strict=True)) for row in rows]

    def planted(name: str, data: object = tickets, **settings: object) -> RunFolder:
        arguments = {key.replace("__", "."): value for key, value in settings.items()}
        try:
            train(data, out=home / name, model=str(model), settings={**COMMON, **arguments})
        except IntegrityError:
            assert not (home / name / "model").exists()
        return RunFolder(home / name)

    return planted


@pytest.fixture(scope="module")
def healthy(run_of: Planted) -> RunFolder:
    return run_of("healthy", train__learning_rate=2e-3, train__epochs=6)


@pytest.mark.parametrize("seed", [1, 2])
def test_healthy_runs_are_not_accused(run_of: Planted, seed: int) -> None:
    run = run_of(f"h{seed}", train__learning_rate=2e-3, train__epochs=5, train__seed=seed)
    assert not ACCUSING & {assessment.diagnosis for assessment in explain(run)}


def test_curves_are_what_was_logged(healthy: RunFolder) -> None:
    curves = curves_of(healthy)
    events = healthy.events()
    lines = [event for event in events if event["event"] == "step"]
    assert curves.steps.tolist() == [line["step"] for line in lines]
    assert curves.losses.tolist() == [line["loss"] for line in lines]
    assert curves.validation_rows == 64
    assert len(curves.evaluated) == 6
    assert curves.is_finished
    assert (curves.score, curves.higher) == ("accuracy", True)
    assert np.isfinite(curves.scores).all()
    assert curves.predictions is not None
    assert curves.predictions.majority == pytest.approx(0.5, abs=0.02)
    assert curves.predictions.guessing == pytest.approx(np.log(2), abs=0.01)
    assert curves.predictions.untrained == pytest.approx(np.log(2))


def test_random_labels_for_long_are_overfitting(run_of: Planted) -> None:
    chance = random.Random(0)
    rows = [
        {"text": " ".join(chance.choices(WORDS, k=8)), "label": chance.choice("ab")}
        for _ in range(160)
    ]
    run = run_of(
        "overfitting", rows, data__validation="60%", train__learning_rate=2e-3, train__epochs=30,
        train__evaluate_every="3 epochs", train__schedule="constant",
    )  # fmt: skip
    (result,) = [r for r in explain(run) if r.diagnosis is Diagnosis.OVERFITTING]
    assert result.confidence in (Confidence.SURE, Confidence.LIKELY)
    assert result.change is not None
    assert result.change.key == "train.epochs"
    assert int(result.change.value) < 30


@pytest.mark.parametrize(
    ("name", "settings", "key"),
    [
        ("frozen", {"train__freeze": ["base"], "train__learning_rate": 1e-3}, "train.freeze"),
        ("low", {"train__learning_rate": 1e-7}, "train.learning_rate"),
    ],
)
def test_what_learns_nothing_is_reported(
    run_of: Planted, name: str, settings: dict[str, object], key: str
) -> None:
    beaten, result = explain(run_of(name, train__epochs=4, **settings))
    assert beaten.diagnosis is Diagnosis.BEATEN  # by words that tell the classes apart
    assert result.diagnosis in (Diagnosis.UNDERFITTING, Diagnosis.COLLAPSED)
    assert result.confidence is Confidence.SURE
    assert result.change is not None
    assert result.change.key == key


def test_a_huge_rate_is_reported_with_what_it_did(run_of: Planted) -> None:
    assessments = explain(run_of("high", train__learning_rate=0.5, train__epochs=6))
    verdicts = [assessment.diagnosis for assessment in assessments]
    assert verdicts == [Diagnosis.BEATEN, Diagnosis.TOO_HIGH, Diagnosis.COLLAPSED]
    assert assessments[1].change is not None
    assert str(assessments[1].change) == "train.learning_rate: 0.001"


def test_a_run_that_diverged_is_reported(run_of: Planted) -> None:
    run = run_of("diverged", train__learning_rate=1e3, train__epochs=6, train__warmup="90%")
    beaten, result = explain(run)
    assert beaten.diagnosis is Diagnosis.BEATEN
    assert (result.diagnosis, result.confidence) == (Diagnosis.DIVERGED, Confidence.SURE)
    assert result.change is not None


def test_a_model_that_tfidf_beats_hears_that_first(
    run_of: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of labels that words tell apart a model that barely trained knows less."""
    run = run_of("beaten", train__epochs=1, train__learning_rate=1e-6)
    facts = run.facts()
    reported = facts["against_tfidf"]["validation"]
    assert (reported["score"], reported["tfidf"], reported["is_better"]) == ("accuracy", 1.0, False)
    assert reported["is_sure"] and reported["high"] < 0
    diagnosis = facts["verdicts"]["validation"]
    assert diagnosis["code"] in ("M135", "M137") and diagnosis["tfidf"] == 1.0
    card = (run.model / "README.md").read_text(encoding="utf-8")
    assert 0 < card.index("TF-IDF:") < card.index("## Scores")
    first, *others = explain(run)
    assert first.diagnosis is Diagnosis.BEATEN and first.change is None
    assert first.evidence.startswith("validation: ") and "TF-IDF baseline" in first.evidence
    assert others and all(
        assessment.change is None
        or assessment.change.key not in ("train.epochs", "train.max_steps")
        for assessment in others
    )
    monkeypatch.setattr(RunFolder, "facts", lambda _run: {**facts, "verdicts": {}})
    assert explain(run)[0].diagnosis is not Diagnosis.BEATEN


def test_python_has_the_same(healthy: RunFolder) -> None:
    assert Run(healthy.path).explain() == explain(healthy)


def test_a_stopped_or_damaged_folder_is_read_as_far_as_it_goes(
    healthy: RunFolder, tmp_path: Path
) -> None:
    import shutil

    run = RunFolder(tmp_path / "copy")
    shutil.copytree(healthy.path, run.path)
    whole = explain(run)
    run.log.write_text(run.log.read_text() + '{"event": "step", "st')
    assert explain(run) == whole
    (run.predictions / "validation.parquet").write_bytes(b"PAR1 and then nothing")
    assert curves_of(run).predictions is None
    assert explain(run)[0].diagnosis is whole[0].diagnosis
    run.plan.unlink()
    assert explain(run)
    run.log.unlink()
    assert explain(run)[0].diagnosis is Diagnosis.TOO_SHORT


def test_numbers_and_several_labels(tmp_path: Path, tiny_bert: Path) -> None:
    rows = [{"text": f"the phone {i} is late", "stars": i % 5 + 1.0} for i in range(40)]
    settings = {**COMMON, "metrics": None, "train.epochs": 1}
    run = train(rows, out=tmp_path / "r", model=str(tiny_bert), label="stars",
                settings={**settings, "task": "text-regression"})  # fmt: skip
    predictions = curves_of(RunFolder(run.folder)).predictions
    assert predictions is not None
    truth = pq.read_table(run.folder / "predictions" / "validation.parquet")["stars"].to_numpy()
    assert predictions.guessing == pytest.approx(truth.var())
    assert predictions.untrained == pytest.approx((truth**2).mean())
    assert predictions.majority is None
    assert predictions.variety < 0.5

    tagged = [{"text": row["text"], "tags": ["a", "b"] if i % 2 else ["b"]}
              for i, row in enumerate(rows)]  # fmt: skip
    run = train(tagged, out=tmp_path / "m", model=str(tiny_bert), label="tags", settings=settings)
    predictions = curves_of(RunFolder(run.folder)).predictions
    assert predictions is not None
    assert predictions.guessing == pytest.approx(np.log(2) / 2, abs=0.05)  # all rows have b
    assert predictions.untrained == pytest.approx(np.log(2))
    assert predictions.majority == pytest.approx(0.5, abs=0.2)
