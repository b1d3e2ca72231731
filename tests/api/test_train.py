from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from datasets import Dataset, DatasetDict

import tunesmith as ts
from tunesmith.errors import DataError, Severity
from tunesmith.recipe import gather

ROWS = [
    {"text": f"the {'soup' if i % 2 else 'rice'} {i} is good", "label": "ab"[i % 2]}
    for i in range(40)
]
SHORT: dict[str, object] = {"train.epochs": 1, "model": "embedded:mini"}


def is_note(event: ts.Event) -> bool:
    return isinstance(event, ts.Warned) and event.problem.severity is Severity.NOTE


@pytest.mark.parametrize(
    "data",
    [
        ROWS,
        pd.DataFrame(ROWS),
        Dataset.from_list(ROWS),
        DatasetDict(
            {"train": Dataset.from_list(ROWS[9:]), "validation": Dataset.from_list(ROWS[:9])}
        ),
        {"train": ROWS[9:], "validation": ROWS[:9]},
    ],
    ids=["list", "frame", "dataset", "dataset dict", "dict"],
)
def test_data_held_in_python(data: object, tmp_path: Path) -> None:
    run = ts.train(data, out=tmp_path / "run", settings=SHORT)
    assert set(run.scores) == {"f1", "accuracy", "loss"}
    assert run.model.is_dir()


def test_the_words_of_the_command_line(tmp_path: Path, tickets: Path) -> None:
    run = ts.train(
        str(tickets),
        out=tmp_path / "run",
        model="embedded:mini",
        preset="course",
        text="body",
        label="queue",
        validation="20%",
        settings={"train.epochs": 1, "metrics": ["accuracy"]},
    )
    assert set(run.scores) == {"accuracy", "loss"}
    assert len(run.events()) > 1
    again = ts.train(
        str(tickets),
        out=tmp_path / "run",
        model="embedded:mini",
        preset="course",
        text="body",
        label="queue",
        validation="20%",
        settings={"train.epochs": 1, "metrics": ["accuracy"]},
    )
    assert again == run


def test_a_recipe_object_and_a_recipe_file(tmp_path: Path, tickets: Path) -> None:
    from tunesmith.recipe import DataSettings, TrainSettings

    recipe = ts.Recipe(
        model="embedded:mini",
        data=DataSettings(train=str(tickets)),
        train=TrainSettings(epochs=1),
    )
    first = ts.train(recipe, out=tmp_path / "one")
    second = ts.train(first.folder / "recipe.yaml", out=tmp_path / "two")
    assert first.scores == second.scores


def test_events_come_as_they_happen(tmp_path: Path) -> None:
    events = ts.start(ROWS, out=tmp_path / "run", settings=SHORT)
    kinds = [type(event).__name__ for event in events if not is_note(event)]
    assert kinds[:5] == ["StepDone"] * 5
    assert kinds[-3:] == ["Evaluated", "Saved", "Finished"]


def test_own_scores_choose(tmp_path: Path) -> None:
    def compute(pair):  # type: ignore[no-untyped-def]
        logits, _labels = pair
        return {"spread": float(logits.max() - logits.min())}

    run = ts.train(
        ROWS,
        out=tmp_path / "run",
        settings={**SHORT, "train.epochs": 2, "train.select_by": "lowest spread"},
        compute_metrics=compute,
    )
    spreads = {e["step"]: e["scores"]["spread"] for e in run.events() if e["event"] == "evaluated"}
    assert run.facts["best_step"] == min(spreads, key=lambda step: spreads[step])


def test_validation_rows_held_in_python(tmp_path: Path, tickets: Path) -> None:
    validation = [{"body": "a printer", "queue": "order"}, {"body": "b", "queue": "repair"}]
    run = ts.train(str(tickets), out=tmp_path / "run", validation=validation, settings=SHORT)
    evaluated = [e for e in run.events() if e["event"] == "evaluated"]
    assert len(evaluated) == 1


@pytest.mark.parametrize(
    ("task", "rows", "scores"),
    [
        (
            "multi-label-classification",
            [{"text": f"t {i}", "tags": ["a", "b"][: i % 3]} for i in range(40)],
            {"f1_micro", "f1_macro", "accuracy", "loss"},
        ),
        (
            "text-regression",
            [{"text": f"t {i}", "score": i / 7} for i in range(40)],
            {"pearson", "spearman", "mean_squared_error", "loss"},
        ),
    ],
)
def test_every_task_trains_and_is_loaded_again(
    task: str, rows: list[dict[str, object]], scores: set[str], tmp_path: Path
) -> None:
    run = ts.train(rows, out=tmp_path / "run", settings={**SHORT, "train.seed": 1})
    assert set(run.scores) == scores
    model = ts.load(run.folder)
    assert model.task.name == task
    assert set(model.evaluate(rows).values) == scores
    assert set(model.predict("t 3")[0]) == {"label", "score", "scores"}


FAMILIES: dict[str, dict[str, object]] = {
    "distilbert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16},
    "roberta": {"max_position_embeddings": 66, "pad_token_id": 1},
    "xlm-roberta": {"max_position_embeddings": 66, "pad_token_id": 1},
    "electra": {"embedding_size": 16},
    "albert": {"embedding_size": 16},
    "deberta-v2": {"relative_attention": True, "pos_att_type": "p2c|c2p"},
    "mpnet": {"max_position_embeddings": 66, "pad_token_id": 1},
    "modernbert": {"num_hidden_layers": 3, "pad_token_id": 0},
    "xlnet": {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16},
    "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2, "pad_token_id": None, "eos_token_id": 3},
}


@pytest.mark.parametrize("kind", FAMILIES)
def test_families_of_models(kind: str, tmp_path: Path) -> None:
    """Each is trained, saved, and predicts the same after loading; some need their own care."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModel

    from tests.conftest import make_tiny_bert

    model_folder = make_tiny_bert(tmp_path / "model")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 16}  # fmt: skip
    own = {key: value for key, value in sizes.items() if "dim" not in FAMILIES[kind]}
    if kind in ("xlnet", "gpt2"):
        own = {}
    config = CONFIG_MAPPING[kind](vocab_size=200, **{**own, **FAMILIES[kind]})
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(model_folder)
    run = ts.train(
        ROWS, out=tmp_path / "run", model=str(model_folder), settings={"train.epochs": 1}
    )
    result = ts.load(run.model).predict(ROWS[:4])
    assert result.logits.shape == (4, 2)
    last = [e for e in run.events() if e["event"] == "evaluated"][-1]
    assert run.scores["loss"] == pytest.approx(last["scores"]["loss"], rel=1e-5)


def test_a_diverging_run_ends_with_the_rows_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunesmith.tasks.text_classification import TextClassification

    real = TextClassification.forward

    def poisoned(self, model, batch):  # type: ignore[no-untyped-def]
        outputs = real(self, model, batch)
        if model.training:
            return type(outputs)(outputs.loss_sum * float("nan"), outputs.per_example)
        return outputs

    monkeypatch.setattr(TextClassification, "forward", poisoned)
    events = []
    with pytest.raises(ts.TunesmithError) as caught:
        events.extend(ts.start(ROWS, out=tmp_path / "run", settings=SHORT))
    assert caught.value.exit_code == 6
    assert str(caught.value).count("rows data[") == 3
    assert [type(event).__name__ for event in events if not is_note(event)] == ["Warned"] * 3
    assert (
        "nan" not in (tmp_path / "run" / "events.jsonl").read_text().lower().split('"message"')[0]
    )


def test_the_disk_is_full_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.runs import model_folder

    def full(*_arguments: object, **_keywords: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_folder, "write_card", full)
    with pytest.raises(ts.TunesmithError) as caught:
        ts.train(ROWS, out=tmp_path / "run", settings=SHORT)
    assert caught.value.exit_code == 4
    assert not (tmp_path / "run" / "model").exists()
    monkeypatch.undo()
    run = ts.train(ROWS, out=tmp_path / "run", settings=SHORT)
    assert run.scores


def test_out_of_memory_is_reported_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from tunesmith.tasks.text_classification import TextClassification

    def huge(self, model, batch):  # type: ignore[no-untyped-def]
        return torch.empty(1 << 60)

    monkeypatch.setattr(TextClassification, "forward", huge)
    with pytest.raises(ts.TunesmithError, match="M111") as caught:
        ts.train(ROWS, out=tmp_path / "run", settings=SHORT)
    assert caught.value.exit_code == 4
    assert "with a single row" in str(caught.value)  # smaller micro-batches were tried first
    assert "train.max_length" in str(caught.value)


def test_several_seeds(tmp_path: Path, tickets: Path) -> None:
    """Each seed gives what it gives alone, in a folder of its own."""
    runs = ts.train(str(tickets), seeds=2, out=tmp_path / "run", settings=SHORT)
    alone = ts.train(str(tickets), out=tmp_path / "one", settings={**SHORT, "train.seed": 43})
    assert [run.folder.name for run in runs.runs] == ["run-seed-42", "run-seed-43"]
    assert runs.runs[1].scores == alone.scores
    reported = runs.spread["validation"]["loss"]
    losses = [run.scores["loss"] for run in runs.runs]
    assert (reported.lowest, reported.highest) == (min(losses), max(losses))
    assert runs.scores["loss"] == reported.mean
    with pytest.raises(ts.TunesmithError, match="R192"):
        ts.train(str(tickets), seeds=1, settings=SHORT)


def test_a_header_is_for_files_alone() -> None:
    with pytest.raises(DataError, match="D114"):
        ts.train(ROWS, settings={"data.header": ["body", "queue"]})


KEYWORDS = {
    "task": "text-classification", "preset": "course", "text": "text", "label": "label",
    "validation": "20%", "test": "10%", "epochs": 0.5, "max_steps": 1, "batch_size": 4,
    "learning_rate": 1e-4, "max_length": 12, "seed": 7, "device": "cpu",
}  # fmt: skip


def test_keywords_are_keys_of_the_recipe(tmp_path: Path) -> None:
    run = ts.train(
        ROWS, out=tmp_path / "run", model="embedded:mini", verbose=False,
        settings={"train.weight_decay": 0.1}, **KEYWORDS,
    )  # type: ignore[call-overload]  # fmt: skip
    recipe = gather(file=run.folder / "recipe.yaml", environment={}).recipe()
    for name, value in KEYWORDS.items():
        section = next(
            part for part in (recipe, recipe.data, recipe.train) if name in type(part).model_fields
        )
        result = recipe.train.seed if name == "seed" else getattr(section, name)
        assert str(result) == str(value), name
    assert recipe.train.weight_decay == 0.1


@pytest.mark.parametrize(
    ("keyword", "value", "meant"),
    [
        ("epoch", 3, "epochs=3"),
        ("num_train_epochs", 3, "epochs=3"),
        ("lr", 1e-5, "learning_rate=1e-05"),
        ("weight_decay", 0.1, "settings={'train.weight_decay': 0.1}"),
        ("evaluate_evry", "1 epoch", "settings={'train.evaluate_every': '1 epoch'}"),
        ("xyzzy", 1, None),
    ],
)
def test_unknown_keywords(keyword: str, value: object, meant: str | None) -> None:
    with pytest.raises(ts.TunesmithError) as caught:
        ts.train(ROWS, **{keyword: value})  # type: ignore[call-overload]
    (problem,) = caught.value.problems
    assert problem.code == "R151"
    assert problem.message == f'train() has no keyword "{keyword}"'
    assert problem.fix == (f'did you mean "{meant}"?' if meant else None)


def test_all_unknown_keywords_at_once() -> None:
    with pytest.raises(ts.TunesmithError) as caught:
        ts.train(ROWS, lr=1, xyzzy=2)  # type: ignore[call-overload]
    assert len(caught.value.problems) == 2
    assert caught.value.exit_code == 2
