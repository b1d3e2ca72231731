"""Rerankers: a small run through every command, and the finished model in other libraries."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from tests.cli.conftest import Command, tunesmith
from tests.conftest import make_tiny_bert, ticket_rows
from tests.tasks.short_runs import ShortRun, losses
from tunesmith.api.runs import Run
from tunesmith.data.columns import Roles
from tunesmith.data.open import from_python
from tunesmith.data.rows import Row
from tunesmith.errors import DataError, RecipeError
from tunesmith.inference.load import load
from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.recipe import gather
from tunesmith.runs import baselines
from tunesmith.tasks import task_from_config
from tunesmith.tasks.text_ranking.task import TextRanking

__all__ = ["tunesmith"]  # the fixture

ROLES = Roles("query", "passage", "label")
TEXTS = [row[1] for row in ticket_rows(48)[1:]]


def table() -> list[list[object]]:
    """Four passages for each of twelve queries, the relevant one at another place in each."""
    rows: list[list[object]] = [["query", "passage", "label", "docid"]]
    for i, text in enumerate(TEXTS):
        query = TEXTS[i - i % 4]
        is_relevant = i % 4 == i // 4 % 4
        rows.append([query, f"{query} yes" if is_relevant else f"{text} {i}", int(is_relevant), i])
    return rows


@dataclass(frozen=True)
class Trained(ShortRun):
    """Queries with passages, and a run of the exact engine on them."""

    data_name = "pairs.csv"
    columns = ROLES.columns
    more: ClassVar[Mapping[str, object]] = {"train.max_length": 40}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("ranking")
    make_tiny_bert(folder / "bert", layers=1)
    done = Trained(folder)
    write(done.data, table())
    done.train(done.run.folder)
    return done


def write(path: Path, lines: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(lines)


def facts_of(run: Run) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((run.folder / "model" / "tunesmith.json").read_text())
    return facts


def test_queries_stay_whole_and_are_scored_whole(trained: Trained) -> None:
    assert len(losses(trained.run.folder)) == 6
    queries = [record.values["query"] for record in trained.records]
    assert len(queries) == 16 == 4 * len(set(queries))
    reciprocal = []
    for query in dict.fromkeys(queries):
        own = [record for record in trained.records if record.values["query"] == query]
        own.sort(key=lambda record: -record.answer["score"])
        place = [int(str(record.values["label"])) for record in own].index(1)
        reciprocal.append(1 / (place + 1))
    facts = facts_of(trained.run)
    scores = facts["scores"]["validation"]
    assert scores["mrr_at_10"] == pytest.approx(np.mean(reciprocal))
    assert set(scores) == {"ndcg_at_10", "mrr_at_10", "map", "loss"}
    assert set(facts["intervals"]["validation"]) == {"ndcg_at_10", "mrr_at_10", "map"}
    assert set(facts["baselines"]["validation"]) == {"bm25", "random"}
    assert facts["rows"] == {"train": 32, "validation": 16}
    assert facts["baselines"]["validation"]["random"]["mrr_at_10"] == pytest.approx(25 / 48)


def test_predictions_of_rows_and_files(trained: Trained, tunesmith: Command) -> None:
    write(Path("rows.csv"), [[query, passage] for query, passage, *_rest in table()])
    model = load(trained.run.folder)
    expected = [answer["score"] for answer in model.predict("rows.csv")]
    for end in ("csv", "jsonl", "parquet"):
        output = tunesmith("predict", trained.run.folder, "--file", "rows.csv", "--out", f"o.{end}")
        assert output.code == 0, output.err
    lines = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
    assert [*lines[0]] == ["query", "passage", "prediction"]
    assert [line["prediction"] for line in lines] == pytest.approx(expected)
    output = tunesmith("predict", trained.run.folder, "a query", "a passage", "--json")
    assert output.code == 0 and 0 < output.records[0]["score"] < 1
    write(Path("ids.csv"), table())
    for written_as in ("trec", "jsonl"):
        output = tunesmith(
            "predict", trained.run.folder, "--file", "ids.csv", "--format", written_as,
            "--out", f"ranked.{written_as}",
        )  # fmt: skip
        assert output.code == 0 and "48 rows in ranked" in output.out + output.err
    run = [line.split() for line in Path("ranked.trec").read_text().splitlines()]
    assert [line[3] for line in run] == list("1234") * 12
    first = json.loads(Path("ranked.jsonl").read_text().splitlines()[0])
    assert [str(one["row"]) for one in first["passages"]] == [line[2] for line in run[:4]]
    output = tunesmith("predict", trained.run.folder, "--file", "ids.csv", "--format", "conll")
    assert output.code == 2 and "R210" in output.err and "trec" in output.err


def test_every_other_command(trained: Trained, tunesmith: Command) -> None:
    write(Path("rows.csv"), table())
    output = tunesmith("eval", trained.run.folder, "rows.csv", "--json")
    assert output.code == 0, output.err
    assert {"bm25", "random"} <= set(output.records[0]["baselines"])
    output = tunesmith("errors", trained.run.folder, "--json")
    assert output.code == 0, output.err
    worst = output.records[0]["worst"][0]
    assert worst["loss"] >= 1 and " of 4" in worst["predicted"] and len(worst["texts"]) == 2
    assert "suspect" not in output.records[0]
    output = tunesmith("calibrate", trained.run.folder)
    assert output.code == 2 and "R184" in output.err
    output = tunesmith("report", trained.run.folder)
    assert output.code == 0, output.err
    page = (trained.run.folder / "report.html").read_text()
    assert "rank of the first relevant passage" in page and "random order" in page
    output = tunesmith("runs", "explain", trained.run.folder)
    assert output.code == 0, output.err
    card = (trained.run.folder / "model" / "README.md").read_text()
    assert "pipeline_tag: text-ranking" in card and "CrossEncoder(" in card and "BM25" in card


def test_other_libraries_give_the_same_scores(trained: Trained) -> None:
    from transformers import pipeline

    folder = trained.run.folder / "model"
    model = load(trained.run.folder)
    pairs = [(str(query), str(passage)) for query, passage, *_rest in table()[1:]]
    rows = [{"query": query, "passage": passage} for query, passage in pairs]
    expected = [answer["score"] for answer in model.predict(rows)]
    use = pipeline("text-classification", model=str(folder), device="cpu")
    served = use([{"text": query, "text_pair": passage} for query, passage in pairs])
    assert [one["score"] for one in served] == pytest.approx(expected, abs=1e-6)
    some = [Row(i, dict(row)) for i, row in enumerate(rows)]
    assert model.task.served_otherwise(model.network, model.tokenizer, some) == 0
    changed = replace(model.task, activation="identity")  # type: ignore[type-var]
    assert changed.served_otherwise(model.network, model.tokenizer, some) == 8
    library = pytest.importorskip("sentence_transformers")
    reranker = library.CrossEncoder(str(folder), device="cpu")
    assert isinstance(reranker.activation_fn, torch.nn.Sigmoid)
    np.testing.assert_allclose(reranker.predict(pairs), expected, atol=1e-6)


def test_a_model_of_sentence_transformers_is_read(trained: Trained, tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    reranker = library.CrossEncoder(
        str(trained.folder / "bert"), num_labels=1, device="cpu",
        activation_fn=torch.nn.Identity(),
    )  # fmt: skip
    reranker.save_pretrained(str(tmp_path))
    model = load(tmp_path, precision="fp32")
    assert isinstance(model.task, TextRanking) and model.task.activation == "identity"
    pairs = [("the door", "is open"), ("the door", "a lamp")]
    answers = model.predict([{"query": one, "passage": other} for one, other in pairs])
    scores = [answer["score"] for answer in answers]
    np.testing.assert_allclose(scores, reranker.predict(pairs), atol=1e-6)
    back = model.task.encode_answers(answers)["logits"][:, 0]
    assert back.tolist() == pytest.approx(scores)


@pytest.mark.parametrize(
    ("config", "activation"),
    [
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}},
         "identity"),
        ({"sentence_transformers": {}}, "sigmoid"),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, "identity"),
        ({}, "sigmoid"),
        ({"problem_type": "regression"}, None),
        ({"id2label": {"0": "stars"}}, None),
        ({"id2label": {"0": "a", "1": "b"}}, None),
    ],
)  # fmt: skip
def test_plain_models(config: dict[str, Any], activation: str | None) -> None:
    whole = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    task = task_from_config({**whole, **config}, ROLES)
    known = task.activation if isinstance(task, TextRanking) else None
    assert known == activation
    if config.get("sentence_transformers") is not None:
        task = task_from_config({**whole, **config}, Roles("text", None, "label"))
        assert task is not None and task.roles == ROLES


def test_baselines_rank_whole_queries(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "_MOST_ROWS", 5)
    run = trained.train(tmp_path / "run", **{"train.max_steps": 1, "train.preflight": False})
    few, many = (facts_of(each)["baselines"]["validation"] for each in (run, trained.run))
    assert few["random"] == many["random"]
    assert few["bm25"].keys() == many["bm25"].keys()


def row(label: object) -> Row:
    return Row(0, {"query": "a", "passage": "b", "label": label})


def test_labels() -> None:
    task = TextRanking(ROLES)
    for label in (0, 1, 2.5, "1", True, "false", None, ""):
        assert task.validate_row(row(label)) is None
    for label in (-1, "yes", "nan", "1,5", [1], 1e300):
        finding = task.validate_row(row(label))
        assert finding is not None and finding.code == "D373", label
    fitted = replace(task, highest=3.0)
    assert fitted.validate_row(row(3)) is None
    assert fitted.validate_row(row(4)).code == "D373"  # type: ignore[union-attr]
    assert fitted.targets([row("2"), row(True)])["label"].tolist() == [2, 1]
    empty = task.validate_row(Row(0, {"query": "a", "passage": " ", "label": 1}))
    assert empty is not None and empty.code == "D330"


def inputs(records: list[dict[str, object]], *sets: str) -> Any:
    layers = gather(
        sets=["model=embedded:mini", "data.train=python", "task=text-ranking", *sets],
        environment={},
    )
    return validate_inputs(resolve_inputs(layers, from_python(records)), audited=True)


def graded(*labels: float) -> list[dict[str, object]]:
    return [
        {"query": f"query number {i}", "passage": f"passage {i} {j}", "label": label}
        for i in range(10)
        for j, label in enumerate(labels)
    ]


def test_grades_are_scaled_and_said() -> None:
    checked = inputs(graded(0, 1, 3))
    assert checked.task.highest == 3 and checked.task.relevant_from == 1
    said = "\n".join(checked.notes)
    assert "10 queries, 30 passages, 20 of them relevant" in said
    assert "labels up to 3, divided by 3" in said and "relevant: labels from 1" in said
    checked = inputs(graded(0, 1, 3), "options.relevant_from=2")
    assert "10 of them relevant" in "\n".join(checked.notes)
    assert checked.task.output.relevant_from == 2
    with pytest.raises(RecipeError, match="R230"):
        inputs(graded(0, 1), "options.relevant_from=2")


def test_queries_without_an_order_are_a_warning() -> None:
    rows = graded(0, 1)
    rows += [{"query": "other", "passage": f"x {i}", "label": 0} for i in range(3)]
    warnings = {problem.code: problem for problem in inputs(rows).warnings}
    assert warnings["D371"].message == "1 of 11 queries have no relevant passage"
    assert str(warnings["D371"].place) == "data"
    with pytest.raises(DataError, match="D204"):
        inputs(graded(0, 0))
