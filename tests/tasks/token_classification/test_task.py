"""Token classification: columns and tags it learns, and a small run through every command."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from tests.cli.conftest import Command, tunesmith
from tests.conftest import make_tiny_bert, ticket_rows
from tests.tasks.short_runs import ShortRun, losses
from tunesmith.data.batches import Examples, Padding, make_batch
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Ragged, hold_in_memory
from tunesmith.data.open import from_python, open_source
from tunesmith.data.profile import profile
from tunesmith.data.rows import Row
from tunesmith.errors import DataError
from tunesmith.inference.load import load
from tunesmith.recipe import DataSettings
from tunesmith.tasks import match_task, task_from_config
from tunesmith.tasks.token_classification.pipeline import count_differences
from tunesmith.tasks.token_classification.rows import joined
from tunesmith.tasks.token_classification.task import TokenClassification

__all__ = ["tunesmith"]  # the fixture

ROLES = Roles("tokens", None, "tags")
WORDS = [row[1].split() for row in ticket_rows(36)[1:]]
TAGS = [
    [("B-THING" if len(word) == 7 else "B-TIME") if len(word) > 5 else "O" for word in words]
    for words in WORDS
]


def fitted(*rows: tuple[Sequence[str], Sequence[str]], **options: Any) -> TokenClassification:
    task = TokenClassification(ROLES, **options)
    return task.fit(
        Row(i, {"tokens": list(words), "tags": list(tags)}) for i, (words, tags) in enumerate(rows)
    )


@dataclass(frozen=True)
class Trained(ShortRun):
    """Rows of words with tags, and a run of the exact engine on them."""

    data_name = "rows.conll"
    columns = ("tokens", "tags")
    more: ClassVar[Mapping[str, object]] = {"train.max_length": 12}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("tokens")
    make_tiny_bert(folder / "bert", layers=1)
    done = Trained(folder)
    done.data.write_text(
        "\n\n".join(
            "\n".join(f"{word}\t{tag}" for word, tag in zip(words, tags, strict=True))
            for words, tags in zip(WORDS, TAGS, strict=True)
        )
        + "\n"
    )
    done.train(done.run.folder)
    return done


def entities(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(answer["label"])


def spans(label: Any) -> list[tuple[int, int, str]]:
    return [(one["start"], one["end"], one["label"]) for one in label]


def text_of(words: list[str]) -> str:
    return joined(words)[0]


def matched(record: Mapping[str, object], **named: Any) -> tuple[str, Roles]:
    source = from_python([record] * 3)["train"]
    task, match = match_task(profile(source), DataSettings(train="x", **named))
    return task.name, match.roles


@pytest.mark.parametrize(
    ("record", "roles"),
    [
        ({"tokens": ["Ann"], "ner_tags": ["B-P"], "id": "1"}, ("tokens", "ner_tags")),
        ({"words": ["Ann"], "pos": ["N"]}, ("words", "pos")),
        ({"tokens": ["Ann", "x"], "labels": [1, 0]}, ("tokens", "labels")),
        ({"字": ["小", "明"], "标签": ["B-P", "I-P"], "类别": "a"}, ("字", "标签")),
    ],
)
def test_columns_of_tokens_and_tags_are_found(
    record: Mapping[str, object], roles: tuple[str, str]
) -> None:
    name, matching = matched(record)
    assert name == "token-classification"
    assert (matching.text, matching.label) == roles


def test_a_label_that_the_user_names_is_learned() -> None:
    record = {"tokens": ["Ann", "runs"], "ner_tags": ["B-P", "O"], "topic": "sport"}
    assert matched(record, label="topic", text="topic")[0] == "text-classification"
    assert matched(record, label="ner_tags")[0] == "token-classification"


def test_labels_are_o_and_two_of_each_type() -> None:
    task = fitted((["a", "b", "c"], ["I-LOC", "O", "U-PER"]))
    assert task.labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert task.label_counts == {"LOC": 1, "PER": 1}
    assert task.types == ("LOC", "PER")
    assert any("fewer than 10 entities" in line for line in task.summary())


def test_names_of_numbers_keep_their_order() -> None:
    task = fitted((["a", "b"], [1, 3]), tag_names=("O", "B-PER", "I-PER", "B-LOC", "I-LOC"))  # type: ignore[list-item]
    assert task.labels == ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    row = Row(0, {"tokens": ["a", "b"], "tags": [3, 4]})
    assert [entity.label for entity in task.targets([row])[0].entities] == ["LOC"]


def test_classes_of_words_have_no_marks() -> None:
    task = fitted((["Ann", "runs"], ["NOUN", "VERB"]), (["runs"], ["NOUN"]), (["runs"], ["VERB"]))
    assert task.are_plain and task.labels == ("NOUN", "VERB")
    assert task.default_metrics == ("accuracy", "f1_macro")
    rows = [Row(0, {"tokens": ["Ann", "runs", "far"], "tags": ["NOUN", "VERB", "VERB"]})]
    training = [Row(0, {"tokens": ["Ann", "runs"], "tags": ["NOUN", "VERB"]})]
    usual = task.baselines(training, rows)[0]["frequent"]
    scores = task.score(list(task.metrics.values()), usual, task.targets(rows), None)
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert task.constant(rows) is None
    assert '"none"' in task.usage


@pytest.mark.parametrize(("tags", "code"), [(["O", "O"], "D204"), (["B-PER", "NOUN"], "D345")])
def test_what_cannot_be_learned(tags: list[str], code: str) -> None:
    with pytest.raises(DataError) as caught:
        fitted((["a", "b"], tags))
    assert caught.value.problems[0].code == code


def test_types_that_training_did_not_have_are_refused() -> None:
    task = fitted((["a"], ["B-PER"]))
    finding = task.validate_row(Row(0, {"tokens": ["a"], "tags": ["B-PERS"]}))
    assert finding is not None
    assert finding.code == "D206" and 'did you mean "PER"?' in str(finding.fix)


def test_the_baseline_knows_the_usual_tag_of_a_word() -> None:
    task = fitted((["New", "York", "in", "May"], ["B-LOC", "I-LOC", "O", "O"]))
    rows = [Row(0, {"tokens": ["in", "New", "York", "city"], "tags": ["O", "B-LOC", "I-LOC", "O"]})]
    training = [Row(0, {"tokens": ["New", "York", "in"], "tags": ["B-LOC", "I-LOC", "O"]})]
    usual = task.baselines(training, rows)[0]["frequent"]
    (answer,) = task.decode(usual, rows)
    assert answer["label"] == [
        {"start": 3, "end": 11, "label": "LOC", "text": "New York", "score": 1.0}
    ]
    nothing = task.repeat(task.constant(training) or (), 1)
    scores = task.score(list(task.metrics.values()), nothing, task.targets(rows), None)
    assert (scores["f1"], scores["accuracy"]) == (0.0, 0.5)


def test_a_plain_model_is_recognized() -> None:
    config = {
        "architectures": ["BertForTokenClassification"],
        "id2label": {0: "O", 1: "B-A", 2: "I-A"},
    }
    task = task_from_config(config, ROLES)
    assert isinstance(task, TokenClassification)
    assert task.types == ("A",) and not task.are_plain
    config["id2label"] = {0: "NOUN", 1: "VERB"}
    plain = task_from_config(config, ROLES)
    assert isinstance(plain, TokenClassification) and plain.are_plain
    assert task_from_config({"architectures": ["BertModel"]}, ROLES) is None


def test_each_piece_is_labeled_or_only_the_first(trained: Trained) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained.folder / "bert")
    rows = [Row(0, {"tokens": ["xyz", "ab"], "tags": ["B-A", "I-A"]})]
    expected = {"all": [-100, 1, 2, 2, 2, 2, -100], "first": [-100, 1, -100, -100, 2, -100, -100]}
    for pieces, labels in expected.items():
        task = fitted((["a"], ["B-A"]), pieces=pieces)
        encoded = task.encode(rows, tokenizer, 64, labeled=True)
        assert encoded.ragged["labels"].flat.tolist() == labels


def test_training_scores_each_row_once(trained: Trained) -> None:
    assert len(losses(trained.run.folder)) == 6
    assert losses(trained.run.folder)[-1] < losses(trained.run.folder)[0]
    rows = [record.row for record in trained.records]
    assert len(rows) == len(set(rows)) == 11
    assert set(trained.run.scores) == {"f1", "precision", "recall", "accuracy", "loss"}


def test_predictions_of_tokens_texts_and_files(trained: Trained, tunesmith: Command) -> None:
    expected = [record.answer["label"] for record in trained.records]
    rows = [{"tokens": record.values["tokens"]} for record in trained.records]
    model = load(trained.run.folder)
    answers = [answer["label"] for answer in model.predict(rows)]
    for one, other in zip(answers, expected, strict=True):
        assert spans(one) == spans(other)
    text = "\U0001f600 " + " ".join(WORDS[0] + WORDS[1] + WORDS[2])
    (answer,) = model.predict(text)
    assert entities(answer)
    assert all(text[e["start"] : e["end"]] == e["text"] for e in entities(answer))
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tunesmith("predict", trained.run.folder, "--file", "rows.jsonl", "--out", "out.jsonl")
    assert output.code == 0, output.err
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [line["prediction"] for line in lines] == answers
    for end in ("csv", "parquet"):
        output = tunesmith(
            "predict", trained.run.folder, "--file", "rows.jsonl", "--out", f"o.{end}"
        )
        assert output.code == 0, output.err
    output = tunesmith("predict", trained.run.folder, "broken printer")
    assert output.code == 0, output.err


def test_answers_in_conll_are_read_again(trained: Trained, tunesmith: Command) -> None:
    output = tunesmith("predict", trained.run.folder, "--format", "conll", "broken now, \U0001f600")
    assert output.code == 0, output.err
    lines = [line.split("\t") for line in output.out.splitlines()]
    assert [line[0] for line in lines] == ["broken", "now", ",", "\U0001f600", ""]
    model, data = trained.run.folder, trained.data
    output = tunesmith("predict", model, "--file", data, "--format", "conll", "--out", "a.conll")
    assert output.code == 0, output.err
    again = [row.values for chunk in open_source("a.conll").chunks() for row in chunk]
    assert [row["tokens"] for row in again] == WORDS
    output = tunesmith("eval", model, "a.conll", "--json")
    assert output.records[0]["scores"]["f1"] == 1.0
    output = tunesmith("predict", model, "--format", "xml", "a")
    assert output.code == 2 and "R210" in output.err


def test_every_other_command(trained: Trained, tunesmith: Command) -> None:
    chosen = {record.row for record in trained.records}
    rows = [
        {"tokens": words, "tags": tags}
        for i, (words, tags) in enumerate(zip(WORDS, TAGS, strict=True))
        if i in chosen
    ]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tunesmith("eval", trained.run.folder, "rows.jsonl", "--json")
    assert output.code == 0, output.err
    assert output.records[0]["scores"] == pytest.approx(trained.run.scores, abs=1e-6)
    output = tunesmith("errors", trained.run.folder, "--json")
    assert output.code == 0, output.err
    output = tunesmith("calibrate", trained.run.folder, "--goal", "f1", "--json")
    assert output.code == 0, output.err
    fit = output.records[0]
    assert (fit["kind"], fit["rule"], fit["rows"]) == ("entities", "each", 11)
    assert list(fit["thresholds"]) == ["THING", "TIME"]
    output = tunesmith("eval", trained.run.folder, "rows.jsonl", "--calibrated", "--json")
    assert output.code == 0, output.err
    scores = output.records[0]["scores"]
    assert scores["loss"] == pytest.approx(fit["after"]["loss"], rel=1e-5)
    assert scores["f1"] >= trained.run.scores["f1"]
    output = tunesmith("predict", trained.run.folder, "--calibrated", "broken printer")
    assert output.code == 0, output.err
    output = tunesmith("report", trained.run.folder)
    assert output.code == 0, output.err
    page = (trained.run.folder / "report.html").read_text()
    assert "<mark>" in page and "other borders" in page and "Calibration error" in page
    card = (trained.run.folder / "model" / "README.md").read_text()
    assert "token-classification" in card and 'aggregation_strategy="simple"' in card


def test_suspects_are_exported_corrected_and_learned(
    trained: Trained, tunesmith: Command, tmp_path: Path
) -> None:
    run, table = trained.run.folder, tmp_path / "fixes.csv"
    output = tunesmith("errors", run, "--suspect", "--split", "train", "--json")
    assert output.code == 0 and "suspect" in output.records[0], output.err
    output = tunesmith("errors", run, "--worst", "--top", 3, "--export", table)
    assert output.code == 0, output.err
    with table.open(encoding="utf-8-sig", newline="") as file:
        first, second, third = csv.DictReader(file)
    words = [WORDS[int(line["row"])] for line in (first, second, third)]
    first["correct"] = f"{text_of(words[0])} (TIME)"
    second["correct"] = "none"
    third["correct"] = f"{words[2][0]} (PLACE)"
    for lines, code in (((first, second, third), "R178"), ((first, second), "")):
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(first))
            writer.writeheader()
            writer.writerows(lines)
        output = tunesmith(
            "check", trained.data, "--set", f"data.corrections={table}",
            "--model", trained.folder / "bert",
        )  # fmt: skip
        assert (code in output.out) if code else (output.code == 0), output.out
    assert "2 labels changed" in output.out + output.err


def test_the_pipeline_marks_the_same_entities(trained: Trained) -> None:
    model = load(trained.run.folder)
    texts = [" ".join(words[:6]) for words in WORDS] + [
        "broken \U0001f600xyz  printer.",
        "a\u200bb",
    ]
    task, network = model.task, model.network
    network.eval()
    assert count_differences(task, network, model.tokenizer, texts) == 0
    with torch.no_grad():
        network.get_submodule("classifier").bias += torch.tensor([0.0, 0.3, 0.2, -0.1, 0.1])
    rows = [Row(i, {"tokens": words}) for i, words in enumerate(WORDS[:4])]
    assert task.served_otherwise(network, model.tokenizer, rows) == 0


def test_windows_of_a_long_text_give_one_answer(trained: Trained) -> None:
    model = load(trained.run.folder)
    words = [word for row in WORDS[:6] for word in row]
    encoded = model.task.encode([Row(0, {"tokens": words})], model.tokenizer, 12, labeled=False)
    assert len(encoded.rows) > 3
    examples = Examples(hold_in_memory(encoded))
    batch = make_batch(examples, np.arange(len(examples)), Padding.of(model.tokenizer))
    with torch.no_grad():
        of, logits = model.task.forward(model.network, batch).ragged["logits"]
    lengths = np.bincount(of.numpy(), minlength=len(examples))
    answers = model.task.join({"logits": Ragged(logits.numpy(), lengths)}, examples)
    assert answers["logits"].lengths.tolist() == [len(words)]
    (answer,) = model.predict([{"tokens": words}])
    assert all(text_of(words)[e["start"] : e["end"]] == e["text"] for e in entities(answer))
    assert max(one["end"] for one in entities(answer)) > len(text_of(words)) / 2
