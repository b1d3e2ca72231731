from __future__ import annotations

from contextlib import ExitStack

import pytest
import torch

from tests.training.fast.models import LENGTHS, batch_of, classify, model_of
from tunesmith.data.batches import Batch
from tunesmith.training.fast.packed_model import PackedLayout, exits_of, first_position
from tunesmith.training.fast.probe import probe


@pytest.mark.parametrize(
    ("family", "first"),
    [("bert", 0), ("roberta", 2), ("xlm-roberta", 2), ("modernbert", 0), ("esm", 2)],
)
def test_where_positions_begin(family: str, first: int) -> None:
    assert first_position(model_of(family)) == first


@pytest.mark.parametrize(
    ("family", "exits"),
    [
        ("bert", ("first token, last layer cut", "first token", "padded")),
        ("gpt2", ("last token",)),
        ("deberta-v2", ()),
        ("mpnet", ()),
    ],
)
def test_what_is_worth_trying(family: str, exits: tuple[str, ...]) -> None:
    assert exits_of(model_of(family)) == exits


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_heads_for_every_token_take_the_pack(family: str) -> None:
    model = model_of(family, "AutoModelForTokenClassification")
    assert exits_of(model) == ("every token", "padded")
    assert exits_of(model_of("bert", "AutoModelForMaskedLM")) == ("padded",)


@pytest.mark.parametrize("left", [False, True])
def test_answers_for_tokens_come_in_the_order_of_the_batch(left: bool) -> None:
    model = model_of("bert", "AutoModelForTokenClassification")
    batch = batch_of(left=left, per_token=True)
    with ExitStack() as stack:
        layout = PackedLayout(model, "every token")
        layout.enter(stack)
        example, logits = layout.run(classify, batch, torch.device("cpu")).ragged["logits"]
    assert example.tolist() == [i for i, length in enumerate(LENGTHS) for _token in range(length)]
    if not left:  # else the plain model counts positions from the padding
        theirs = classify(model, batch).ragged["logits"]
        assert torch.equal(theirs[0], example)
        torch.testing.assert_close(logits, theirs[1])


def test_everything_is_taken_away_again() -> None:
    model = model_of("bert")
    batch = batch_of()
    before = classify(model, batch).per_example["logits"]
    implementation = model.config._attn_implementation  # type: ignore[union-attr]
    with ExitStack() as stack:
        layout = PackedLayout(model, "first token, last layer cut")
        layout.enter(stack)
        assert model.config._attn_implementation != implementation  # type: ignore[union-attr]
        packed = layout.run(classify, batch, torch.device("cpu"))
        torch.testing.assert_close(packed.per_example["logits"], before)
    assert model.config._attn_implementation == implementation  # type: ignore[union-attr]
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    torch.testing.assert_close(classify(model, batch).per_example["logits"], before, rtol=0, atol=0)


@pytest.mark.parametrize("family", ["bert", "modernbert", "modernbert mean", "esm", "llama"])
def test_the_order_of_the_rows_does_not_matter(family: str) -> None:
    model = model_of(family)
    batch = batch_of()
    probe_result = probe(model, classify, batch, torch.device("cpu"))
    assert probe_result.exit is not None
    turned = Batch(
        {name: tensor.flip(0) for name, tensor in batch.inputs.items()},
        batch.labels,
        batch.num_targets,
        batch.num_tokens,
        batch.examples,
    )
    with ExitStack() as stack:
        layout = PackedLayout(model, probe_result.exit)
        layout.enter(stack)
        one, two = (
            layout.run(classify, arguments, torch.device("cpu")).per_example["logits"]
            for arguments in (batch, turned)
        )
    torch.testing.assert_close(one, two.flip(0), rtol=1e-5, atol=1e-6)
