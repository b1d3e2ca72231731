from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tunesmith as ts
from tests.conftest import WORDS
from tunesmith.data.batches import IGNORED, Batch, Examples, Padding, make_batch
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import hold_in_memory
from tunesmith.data.rows import Row
from tunesmith.errors import DataError, ModelError, RecipeError
from tunesmith.models import load_tokenizer, locate
from tunesmith.recipe import DataSettings
from tunesmith.tasks.masked_lm.task import MaskedLanguageModel


def task(folder: Path, pair: str | None = None, **options: object) -> MaskedLanguageModel:
    made = MaskedLanguageModel.make(Roles("text", pair), DataSettings(train="x"), [], options)
    return made.with_tokenizer(load_tokenizer(locate(str(folder))))


def examples(made: MaskedLanguageModel, texts: list[str], limit: int = 64) -> Examples:
    rows = [Row(i, {"text": text, "pair": text}) for i, text in enumerate(texts)]
    return Examples(hold_in_memory(made.encode(rows, made.tokenizer, limit, labeled=True)))


def batch_of(
    made: MaskedLanguageModel, tokenized: Examples, places: list[int], seed: int = 1
) -> tuple[Batch, Batch]:
    plain = make_batch(tokenized, np.array(places), Padding.of(made.tokenizer))
    return plain, made.corrupt(plain, seed=seed)


texts_of_words = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=40).map(" ".join), min_size=1, max_size=6
)
LIGHT = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)


@LIGHT
@given(texts=texts_of_words, seed=st.integers(0, 99), whole=st.booleans())
def test_labels_are_the_original_tokens(
    texts: list[str], seed: int, whole: bool, tiny_bert: Path
) -> None:
    made = task(tiny_bert, whole_word_mask=whole)
    plain, drawn = batch_of(made, examples(made, texts), list(range(len(texts))), seed)
    ids, labels = plain.inputs["input_ids"], drawn.labels
    assert labels is not None
    chosen = labels != IGNORED
    assert torch.equal(labels[chosen], ids[chosen])
    assert torch.equal(drawn.inputs["input_ids"][~chosen], ids[~chosen])
    assert not chosen[plain.inputs["words"] == 0].any()  # never a mark, never padding
    assert (chosen.sum(dim=1) >= 1).all()
    assert drawn.num_targets == int(chosen.sum())
    assert "words" not in drawn.inputs


@LIGHT
@given(texts=texts_of_words, seed=st.integers(0, 99), cut=st.integers(1, 5))
def test_masking_depends_on_seed_and_text_alone(
    texts: list[str], seed: int, cut: int, tiny_bert: Path
) -> None:
    """However rows are cut into batches: 1 process or 2, packed or padded."""
    made = task(tiny_bert)
    tokenized = examples(made, texts)
    places = list(range(len(texts)))
    whole = batch_of(made, tokenized, places, seed)[1]
    for start in range(0, len(texts), cut):
        part = batch_of(made, tokenized, places[start : start + cut], seed)[1]
        longest = part.inputs["input_ids"].shape[1]
        for name in ("input_ids", "labels"):
            one: Any = part.labels if name == "labels" else part.inputs[name]
            all_of_it: Any = whole.labels if name == "labels" else whole.inputs[name]
            assert torch.equal(one, all_of_it[start : start + cut, :longest])
    others = [batch_of(made, tokenized, places, seed + i)[1].labels for i in range(1, 30)]
    assert any(not torch.equal(o, whole.labels) for o in others if o is not None) or all(
        len(text.split()) == 1 for text in texts
    )


def test_fractions_are_as_requested(tiny_bert: Path) -> None:
    made = task(tiny_bert)
    text = " ".join(WORDS)
    tokenized = examples(made, [text] * 1 + [f"{text} {word}" for word in WORDS])
    chosen = masked = replaced = total = 0
    for seed in range(40):
        plain, drawn = batch_of(made, tokenized, list(range(len(tokenized))), seed)
        assert drawn.labels is not None
        where = drawn.labels != IGNORED
        shown = drawn.inputs["input_ids"][where]
        total += int((plain.inputs["words"] > 0).sum())
        chosen += int(where.sum())
        masked += int((shown == made.tokenizer.mask_token_id).sum())
        replaced += int(
            ((shown != made.tokenizer.mask_token_id) & (shown != drawn.labels[where])).sum()
        )
    assert chosen / total == pytest.approx(0.15, abs=0.005)
    assert masked / chosen == pytest.approx(0.8, abs=0.02)
    assert replaced / chosen == pytest.approx(0.1, abs=0.02)


def test_whole_words_are_hidden_together(tiny_bert: Path) -> None:
    made = task(tiny_bert, whole_word_mask=True, mlm_probability=0.3)
    tokenized = examples(made, ["zebra quickly jumped over unknownwords again and again"])
    plain, drawn = batch_of(made, tokenized, [0])
    words, labels = plain.inputs["words"][0], drawn.labels
    assert labels is not None
    for word in set(words.tolist()) - {0}:
        assert len(set((labels[0][words == word] != IGNORED).tolist())) == 1


def test_words_named_are_always_hidden(tiny_bert: Path) -> None:
    """ "for" is one piece of this vocabulary, "fork" are two."""
    made = task(tiny_bert, mlm_probability=0.01, always_mask=["for", "fork"])
    texts = ["the table for two is for the fork", "thank you"] * 20
    plain, drawn = batch_of(made, examples(made, texts), list(range(40)))
    assert drawn.labels is not None
    piece = {*made.tokenizer.encode("for", add_special_tokens=False)}
    pieces = made.tokenizer.encode("fork", add_special_tokens=False)
    assert len(pieces) == 2
    ids, mask = plain.inputs["input_ids"], made.tokenizer.mask_token_id
    both = torch.isin(ids, torch.tensor([*piece, *pieces]))
    assert both.sum() >= 60
    assert (drawn.labels[both] == ids[both]).all()
    assert (drawn.inputs["input_ids"][both] == mask).all()
    assert (drawn.labels[~both] == IGNORED).float().mean() > 0.9
    assert MaskedLanguageModel.from_json(made.as_json()).always_mask == ("for", "fork")


def test_a_word_named_is_no_part_of_another(tiny_bert: Path) -> None:
    """ "fork" starts with "for" and is written in pieces."""
    made = task(tiny_bert, mlm_probability=0.001, always_mask=["for"])
    plain, drawn = batch_of(made, examples(made, ["fork the table and send me a phone"]), [0])
    assert drawn.labels is not None
    start = int((plain.inputs["input_ids"][0] == made.tokenizer.encode("for")[1]).nonzero()[0])
    assert int((drawn.labels != IGNORED).sum()) == 1
    assert drawn.labels[0, start] == IGNORED or drawn.labels[0, start + 1] == IGNORED


def test_the_loss_is_that_of_the_whole_head(tiny_bert: Path) -> None:
    """Computing the head at the chosen tokens alone changes nothing."""
    made = task(tiny_bert)
    model = made.build(locate(str(tiny_bert)), seed=0, dropout=None).model.eval()
    _plain, drawn = batch_of(
        made, examples(made, ["the soup is hot", "rice for two please"]), [0, 1]
    )
    outputs = made.forward(model, drawn)
    logits = model(**drawn.inputs).logits
    theirs = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1),
        drawn.labels.flatten(),
        reduction="sum",  # type: ignore[union-attr]
    )
    assert outputs.loss_sum is not None
    torch.testing.assert_close(outputs.loss_sum, theirs)
    assert outputs.per_example["sums"][:, 0].sum().item() == pytest.approx(theirs.item(), rel=1e-5)
    assert outputs.per_example["targets"].sum() == drawn.num_targets
    predictions = {name: values.detach().numpy() for name, values in outputs.per_example.items()}
    scores = made.score(tuple(made.metrics.values()), predictions, np.zeros(2), None)
    assert scores["perplexity"] == pytest.approx(math.exp(theirs.item() / drawn.num_targets))


def test_a_pack_gives_the_same_per_example(tiny_bert: Path) -> None:
    """All tokens in one row, each with its sequence, and attention within sequences."""
    made = task(tiny_bert)
    model = made.build(locate(str(tiny_bert)), seed=0, dropout=None).model.eval()
    texts = ["the soup is hot", "rice for two please", "tea"]
    _plain, drawn = batch_of(made, examples(made, texts), [0, 1, 2])
    assert drawn.labels is not None
    real = drawn.inputs["attention_mask"] == 1
    rows, columns = real.nonzero(as_tuple=True)
    inputs = {name: values[real][None] for name, values in drawn.inputs.items()}
    inputs["position_ids"] = columns[None]
    inputs["attention_mask"] = (rows[:, None] == rows[None, :])[None, None]
    packed = replace(drawn, inputs=inputs, labels=drawn.labels[real][None], rows=rows[None])
    expected, packed_outputs = made.forward(model, drawn), made.forward(model, packed)
    torch.testing.assert_close(packed_outputs.loss_sum, expected.loss_sum)
    for name, values in expected.per_example.items():
        assert len(values) == 3
        torch.testing.assert_close(packed_outputs.per_example[name], values)


def test_the_windows_of_a_text_are_one_answer(tiny_bert: Path) -> None:
    made = task(tiny_bert)
    long = examples(made, ["soup " * 30, "tea", "rice " * 20], limit=16)
    numbers = long.rows.tolist()
    assert long.row_numbers.tolist() == [0, 1, 2] and len(numbers) > 4
    sums = np.random.default_rng(0).random((len(long), 2))
    joined = made.join({"sums": sums, "targets": np.ones(len(long))}, long)
    assert joined["targets"].tolist() == [numbers.count(row) for row in range(3)]
    np.testing.assert_allclose(joined["sums"].sum(axis=0), sums.sum(axis=0))
    answers = made.decode(joined, ())
    assert len(answers) == 3
    assert answers[1]["score"] == pytest.approx(math.exp(sums[numbers.index(1), 0]))
    assert made.truth(long, iter(())).shape == (3,)


def test_masks_are_filled_in(tiny_bert: Path) -> None:
    made = task(tiny_bert)
    model = made.build(locate(str(tiny_bert)), seed=0, dropout=None).model.eval()
    texts = ["the [MASK] is hot", "a [MASK] for [MASK] please", "no mask"]
    rows = [Row(i, {"text": text}) for i, text in enumerate(texts)]
    encoded = made.encode(rows[:2], made.tokenizer, 64, labeled=False)
    batch = make_batch(Examples(hold_in_memory(encoded)), np.arange(2), Padding.of(made.tokenizer))
    outputs = made.forward(model, made.corrupt(batch, seed=0))
    predictions = {name: v.detach().numpy() for name, v in outputs.per_example.items()}
    one, two = made.decode(predictions, rows[:2])
    with torch.no_grad():
        logits = model(**made.tokenizer(texts[0], return_tensors="pt")).logits[0, 2]
    assert one["label"] == made.tokenizer.decode([int(logits.argmax())])
    assert one["score"] == pytest.approx(float(logits.softmax(-1).max()))
    assert isinstance(two["label"], list) and len(two["label"]) == 2
    with pytest.raises(DataError, match=r"D331.*row 2 has no \[MASK\]"):
        made.encode(rows, made.tokenizer, 64, labeled=False)


def test_a_mask_that_is_cut_off(tiny_bert: Path) -> None:
    made = task(tiny_bert)
    rows = [Row(0, {"text": "a [MASK] " + "soup " * 9}), Row(1, {"text": "soup " * 9 + "[MASK]"})]
    made.encode(rows[:1], made.tokenizer, 8, labeled=False)
    made.encode(rows, made.tokenizer, 12, labeled=False)
    with pytest.raises(DataError, match=r"D331.*row 1: no \[MASK\] is among the 8 tokens"):
        made.encode(rows, made.tokenizer, 8, labeled=False)


def test_options_and_tokenizers_that_do_not_fit(tiny_bert: Path) -> None:
    with pytest.raises(RecipeError, match=r"options.mlm_probability cannot be 2"):
        task(tiny_bert, mlm_probability=2)
    tokenizer = load_tokenizer(locate(str(tiny_bert)))
    tokenizer.mask_token = None
    made = MaskedLanguageModel.make(Roles("text"), DataSettings(train="x"), [], {})
    with pytest.raises(ModelError, match="M121"):
        made.with_tokenizer(tokenizer)


def test_from_a_text_file_to_a_model_that_is_fine_tuned_further(
    tmp_path: Path, tiny_bert: Path, tickets: Path
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("\n".join(f"the {a} soup is {b}\n" for a in WORDS[:12] for b in WORDS[-6:]))
    run = ts.train(
        str(notes),
        out=tmp_path / "pretrained",
        model=str(tiny_bert),
        settings={
            "task": "masked-lm",
            "train.epochs": 4,
            "train.learning_rate": 3e-3,
            "options.whole_word_mask": True,
        },
    )
    first, *_others, last = [e for e in run.events() if e["event"] == "evaluated"]
    assert last["scores"]["perplexity"] < 0.7 * first["scores"]["perplexity"]
    assert run.facts["task"]["whole_word_mask"] is True
    model = ts.load(run.model)
    assert model.predict("the [MASK] soup")[0]["score"]
    again = model.evaluate([{"text": line} for line in notes.read_text().splitlines() if line])
    assert again["perplexity"] is not None
    from transformers import pipeline

    assert len(pipeline("fill-mask", model=str(run.model))("the [MASK] soup")) == 5
    tuned = ts.train(
        str(tickets), out=tmp_path / "tuned", model=str(run.folder), settings={"train.max_steps": 2}
    )
    assert tuned.facts["base_model"]["name"] == run.folder.name


class Letters:
    """A tokenizer whose tokens are letters by number, with a space before each."""

    def decode(self, ids: list[int]) -> str:
        return " " + "".join("abcdefghij"[i] for i in ids)


def test_one_mask_is_answered_by_a_word_and_several_by_lists() -> None:
    task = MaskedLanguageModel(Roles("text"), tokenizer=Letters())
    ids = np.full((2, 8, 5), -1, dtype=np.int64)
    chances = np.zeros((2, 8, 5), dtype=np.float32)
    ids[0, 0] = [3, 1, 2, 0, 4]
    ids[1, :2] = [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    chances[0, 0] = chances[1, 0] = [0.5, 0.25, 0.125, 0.0625, 0.03125]
    chances[1, 1] = [0.25, 0.125, 0.0625, 0.03125, 0.0]
    one, two = task.decode({"ids": ids, "probabilities": chances}, ())
    first = {"d": 0.5, "b": 0.25, "c": 0.125, "a": 0.0625, "e": 0.03125}
    assert one == {"label": "d", "score": 0.5, "scores": first}
    assert two["label"] == ["a", "f"]
    assert two["score"] == 0.5
    assert isinstance(two["scores"], list)
    assert [list(scores) for scores in two["scores"]] == [list("abcde"), list("fghij")]
