from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tunesmith as ts
from tunesmith.data.open import from_python
from tunesmith.errors import DataError, RecipeError
from tunesmith.inference.model import Model

PAIRS = [
    {"sentence1": f"the soup {i} is good", "sentence2": f"the rice {i} is bad", "label": i % 2}
    for i in range(40)
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> ts.Run:
    out = tmp_path_factory.mktemp("pairs") / "run"
    return ts.train(PAIRS, out=out, model=str(tiny_bert), settings={"train.epochs": 1})


@pytest.fixture(scope="module")
def model(run: ts.Run) -> Model:
    return ts.load(run.folder)


def test_logits_and_labels_as_the_course_has_them(model: Model) -> None:
    result = model.predict(PAIRS)
    assert result.logits.shape == (40, 2)
    assert result.labels is not None and result.labels.shape == (40,)
    assert result.labels.tolist() == [i % 2 for i in range(40)]
    assert result.loss is not None
    assert len(result) == 40
    right = np.mean(result.logits.argmax(-1) == result.labels)
    assert model.evaluate(PAIRS)["accuracy"] == pytest.approx(right)
    assert model.evaluate(PAIRS)["loss"] == pytest.approx(result.loss, rel=1e-6)


def test_rows_in_every_form(model: Model, tmp_path: Path) -> None:
    pair = (str(PAIRS[0]["sentence1"]), str(PAIRS[0]["sentence2"]))
    expected = model.predict([pair])[0]
    frame = pd.DataFrame(PAIRS[:1])
    frame.to_csv(tmp_path / "rows.csv", index=False)
    for rows in (
        PAIRS[:1],
        frame,
        from_python(PAIRS[:1])["train"],
        str(tmp_path / "rows.csv"),
        [{"sentence1": pair[0], "sentence2": pair[1]}],
    ):
        assert model.predict(rows)[0]["scores"] == pytest.approx(expected["scores"], abs=1e-6)


def test_rows_without_labels_have_none(model: Model) -> None:
    result = model.predict([("a", "b"), ("c", "d")])
    assert result.labels is None
    assert result.loss is None
    assert [answer["label"] for answer in result] == [result[0]["label"], result[1]["label"]]


def test_a_label_that_is_new_does_not_stop_a_prediction(model: Model) -> None:
    result = model.predict([{"sentence1": "a", "sentence2": "b", "label": "never seen"}])
    assert result.labels is None
    with pytest.raises(DataError, match="D206"):
        model.evaluate([{"sentence1": "a", "sentence2": "b", "label": "never seen"}])


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        (["only one text"], "D332"),
        ([("a", "b", "c")], "D332"),
        ([("", "b")], "D330"),
        ([("", "")], "D310"),
        ([("a", "b"), None], r"D310 the given rows\[1\]"),
        ({"sentence1": "a"}, "D301"),
        ([{"sentence1": "a"}], "D301"),
        ([], "D120"),
    ],
)
def test_rows_that_cannot_be_predicted(rows: object, code: str, model: Model) -> None:
    with pytest.raises(DataError, match=code):
        model.predict(rows)


def test_texts_without_a_token_have_no_perplexity() -> None:
    model = ts.load("embedded:mini")
    nothing, something = {"text": "\u200b"}, {"text": "the cat sat on the mat"}
    with pytest.raises(DataError, match="D122"):
        model.evaluate([nothing])
    whole = model.evaluate([something])
    assert model.evaluate([nothing, something]).values == pytest.approx(whole.values)


def test_answers_keep_their_texts(model: Model) -> None:
    result = model.predict(PAIRS[:2])
    assert result.texts == [{k: row[k] for k in ("sentence1", "sentence2")} for row in PAIRS[:2]]
    html = model.evaluate(PAIRS)._repr_html_()
    assert ">majority class</th>" in html and ">accuracy</td>" in html and " to " in html


def test_scores_by_name(model: Model) -> None:
    assert set(model.evaluate(PAIRS).values) == {"f1", "accuracy", "loss"}
    scores = model.evaluate(PAIRS, metrics=["matthews_correlation"])
    assert set(scores.values) == {"matthews_correlation", "loss"}
    with pytest.raises(RecipeError, match="R110"):
        model.evaluate(PAIRS, metrics=["pearson"])


def test_thousands_of_rows_stay_in_order(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.inference import rows as rows_module

    monkeypatch.setattr(rows_module, "_ROWS_AT_ONCE", 7)
    rows = from_python(PAIRS)["train"]
    streamed = [(row.index, answer) for row, answer in model.stream(rows, batch_size=3)]
    assert [index for index, _answer in streamed] == list(range(40))
    whole = model.predict(PAIRS)
    for (_index, one), two in zip(streamed, whole, strict=True):
        assert one["scores"] == pytest.approx(two["scores"], abs=1e-6)


def test_predicting_while_a_stream_is_half_read(model: Model) -> None:
    expectation = model.predict(PAIRS[:3])
    source = from_python(PAIRS[:3])["train"]
    streamed = []
    for row, answer in model.stream(source):
        assert model.predict([PAIRS[row.index]])[0]["label"] == answer["label"]
        streamed.append(answer["label"])
    assert streamed == [expectation[i]["label"] for i in range(3)]
    assert not [module for module in model.network.modules() if "forward" in vars(module)]
    assert model.network.config._attn_implementation != "tunesmith_packed"


def test_several_threads_predict_the_same(model: Model) -> None:
    expectation = model.predict(PAIRS[:24]).logits
    with ThreadPoolExecutor(4) as pool:
        result = list(pool.map(lambda row: model.predict([row]).logits, PAIRS[:24]))
    np.testing.assert_allclose(np.concatenate(result), expectation, atol=1e-5)


def test_few_rows_cost_one_pass_and_many_no_second_trial(run: ts.Run) -> None:
    model = ts.load(run.folder)
    passes = 0

    def count(*_given: object) -> None:
        nonlocal passes
        passes += 1

    handle = model.network.register_forward_hook(count)
    first = model.predict([PAIRS[0]])
    assert passes == 1
    uneven = [{**PAIRS[0], "sentence1": "soup " * (i % 8 + 1)} for i in range(40)]
    model.predict(uneven)
    tried, passes = passes - 1, 0
    model.predict(uneven)
    assert passes < tried
    handle.remove()
    assert first.logits == pytest.approx(model.predict(PAIRS[:9]).logits[:1], abs=1e-5)


def test_bad_rows_of_a_table_get_empty_answers(model: Model, tmp_path: Path) -> None:
    good = model.predict(PAIRS[:3])
    rows = [PAIRS[0], {**PAIRS[1], "sentence1": None}, PAIRS[1], PAIRS[2]]
    frame = pd.DataFrame(rows)
    with pytest.warns(UserWarning, match="M153 the given rows: 1 row cannot be predicted"):
        result = model.predict(frame)
    assert [answer["label"] for answer in result] == [
        good[0]["label"], None, good[1]["label"], good[2]["label"],
    ]  # fmt: skip
    assert result[1]["problem"] == "D330"
    assert result.logits.shape == (4, 2)
    assert np.isnan(result.logits).any(axis=1).tolist() == [False, True, False, False]
    np.testing.assert_allclose(result.logits[[0, 2, 3]], good.logits, atol=1e-5)
    assert result.labels is None and result.loss is None
    with pytest.warns(UserWarning, match="left out"):
        assert len(model.predict(frame, on_bad_row="skip")) == 3
    with pytest.raises(DataError, match="D330"):
        model.predict(frame, on_bad_row="fail")
    with pytest.raises(DataError, match="D330"):
        model.predict(rows)
    with pytest.warns(UserWarning, match="M153"):
        assert model.predict(rows, on_bad_row="keep")[1]["label"] is None
    with pytest.warns(UserWarning, match="M153"):
        nothing = model.predict(frame[1:2])
    assert [answer["problem"] for answer in nothing] == ["D330"]
    assert nothing.predictions == {}


def test_a_table_of_predictions_from_python(model: Model, tmp_path: Path) -> None:
    frame = pd.DataFrame([*PAIRS[:2], {**PAIRS[2], "sentence2": ""}])
    with pytest.warns(UserWarning, match="M153"):
        assert model.write_predictions(frame, tmp_path / "p.csv") == 3
    written = pd.read_csv(tmp_path / "p.csv")
    assert written["prediction"].astype(str).tolist() == [
        *(answer["label"] for answer in model.predict(PAIRS[:2])), "nan",
    ] or written["prediction"].isna().tolist() == [False, False, True]  # fmt: skip
    with pytest.raises(RecipeError, match="R115"):
        model.write_predictions(frame, tmp_path / "p.csv")
    with pytest.warns(UserWarning, match="left out"):
        assert (
            model.write_predictions(frame, tmp_path / "p.csv", force=True, on_bad_row="skip") == 2
        )
    with pytest.raises(RecipeError, match="R153"):
        model.write_predictions(frame, tmp_path / "p.xls")


def test_bad_rows_in_several_parts(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.inference import rows as rows_module

    monkeypatch.setattr(rows_module, "_ROWS_AT_ONCE", 2)
    bad = {**PAIRS[0], "sentence1": ""}
    rows = [bad, bad, PAIRS[0], bad, PAIRS[1], PAIRS[2]]
    monkeypatch.setattr("tunesmith.data.readers.memory.CHUNK_ROWS", 2)
    with pytest.warns(UserWarning, match="M153 .*3 rows"):
        result = model.predict(rows, on_bad_row="keep")
    assert np.isnan(result.logits[:, 0]).tolist() == [True, True, False, True, False, False]
    expectation = model.predict(PAIRS[:3]).logits
    np.testing.assert_allclose(result.logits[[2, 4, 5]], expectation, atol=1e-5)


def test_a_text_without_a_mask_among_others() -> None:
    model = ts.load("embedded:mini")
    texts = ["the [MASK] sat", "nothing to fill in", "the [MASK] sat on the mat"]
    with pytest.warns(UserWarning, match="D331"):
        result = model.predict(texts, on_bad_row="keep")
    assert [answer["label"] is None for answer in result] == [False, True, False]
    assert result[1]["problem"] == "D331"
