from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.fast.models import FAMILIES, batch_of, classify, model_of
from tunesmith.data.batches import Batch
from tunesmith.data.columns import Roles
from tunesmith.tasks import Outputs
from tunesmith.tasks.multiple_choice.task import MultipleChoice
from tunesmith.training.fast import packed_model
from tunesmith.training.fast import probe as probe_module
from tunesmith.training.fast.packing import Group, Pack, groups_of
from tunesmith.training.fast.probe import ProbeResult, difference, probe, probed_places

CPU = torch.device("cpu")
EXPECTED: dict[str, tuple[str | None, bool]] = {
    **dict.fromkeys(FAMILIES, ("first token, last layer cut", False)),
    **dict.fromkeys(("distilbert", "albert", "modernbert", "nomic_bert"), ("first token", False)),
    **dict.fromkeys(("modernbert mean", "eurobert"), ("padded", False)),
    **dict.fromkeys(("gpt2", "llama", "qwen3"), ("last token", False)),
    **dict.fromkeys(("deberta-v2", "mpnet"), (None, True)),
    "mobilebert": (None, True),  # its embeddings look at their neighbors, across borders
}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_each_family_needs(family: str) -> None:
    model = model_of(family)
    probe_result = probe(model, classify, batch_of(), CPU)
    assert (probe_result.exit, probe_result.by_length) == EXPECTED[family], probe_result.reason
    assert all(p.grad is None for p in model.parameters())
    assert not model.training


@pytest.mark.parametrize("family", FAMILIES)
def test_heads_on_tokens(family: str) -> None:
    """Whatever packs for whole texts packs for tokens, too, and leaves without padding."""
    model = model_of(family, "AutoModelForTokenClassification")
    probe_result = probe(model, classify, batch_of(per_token=True), CPU)
    packs, by_length = EXPECTED[family]
    assert probe_result.exit == (packs and "every token"), probe_result.reason
    assert probe_result.by_length == by_length


def test_a_head_that_reads_the_places_of_tokens_stays_padded() -> None:
    """A softmax over all columns would be one over all sequences of a pack."""

    def find_places(model: Any, batch: Batch) -> Outputs:
        logits = model(**batch.inputs).logits[..., 0]
        hidden = batch.inputs["attention_mask"] == 0
        places = logits.masked_fill(hidden, -1e4).log_softmax(-1)
        return Outputs(-places[:, 1].sum(), {"first": places[:, 1]})

    model = model_of("bert", "AutoModelForTokenClassification")
    assert probe(model, find_places, batch_of(), CPU).exit == "padded"


def test_places_of_tokens_are_found_in_a_pack() -> None:
    """Start and end of an answer: a softmax over the tokens of each sequence, by `batch.rows`."""

    def find_places(model: Any, batch: Batch) -> Outputs:
        logits = model(**batch.inputs).logits[..., 0]
        assert batch.labels is not None
        rows, count = batch.example_of_labels(), len(batch.examples)
        is_real = batch.inputs["attention_mask"] == 1
        sums = logits.new_zeros(count).index_add(0, rows[is_real], logits[is_real].exp())
        is_first = batch.labels == 1
        first = logits.new_zeros(count).index_add(0, rows[is_first], logits[is_first])
        return Outputs((sums.log() - first).sum(), {"first": first.detach()})

    batch = batch_of(per_token=True)
    starts = torch.zeros_like(batch.inputs["input_ids"])
    starts[:, 3] = 1
    model = model_of("bert", "AutoModelForTokenClassification")
    assert probe(model, find_places, replace(batch, labels=starts), CPU).exit == "every token"


@pytest.mark.parametrize("fault", ["rows", "labels"])
def test_a_wrong_place_of_labels_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = packed_model.pack_tokens

    def shifted(*arguments: Any) -> Batch:
        packed = real(*arguments)
        return replace(packed, **{fault: getattr(packed, fault).roll(1, dims=1)})

    monkeypatch.setattr(packed_model, "pack_tokens", shifted)
    model = model_of("bert", "AutoModelForTokenClassification")
    probe_result = probe(model, classify, batch_of(per_token=True), CPU)
    assert probe_result.exit == "padded"


@pytest.mark.parametrize(
    "family", ["bert", "roberta", "electra", "albert", "distilbert", "modernbert", "ernie"]
)
def test_heads_for_choices(family: str) -> None:
    """Five sequences of two rows, with two and three choices."""
    task = MultipleChoice(Roles("question", "choices", "label"), most=3, fewest=2)
    labels, owner = torch.tensor([1, 2]), torch.tensor([0, 0, 1, 1, 1])
    batch = replace(batch_of(), labels=labels, num_targets=2, examples=np.arange(2), owner=owner)
    probe_result = probe(model_of(family, task.model_class), task.forward, batch, CPU)
    assert str(probe_result.exit).startswith("first token"), probe_result.reason


def test_predictions_alone_need_no_labels() -> None:
    def predict(model: Any, batch: Batch) -> Outputs:
        return Outputs(None, {"logits": model(**batch.inputs).logits})

    assert probe(model_of("bert"), predict, batch_of(), CPU, trains=False).exit is not None
    assert probe(model_of("mpnet"), predict, batch_of(), CPU, trains=False) == ProbeResult(
        None, by_length=False, reason="its attention does not go through transformers' interface"
    )


@pytest.mark.parametrize("fault", ["position", "neighbour"])
def test_a_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative controls: a wrong start of positions, and sequences that see each other."""
    if fault == "position":
        monkeypatch.setattr(packed_model, "first_position", lambda _network: 1)
    else:
        real = packed_model.pack_batch

        class AsOne(Pack):
            @property
            def groups(self) -> tuple[Group, ...]:  # type: ignore[override]
                return groups_of(np.array([self.lengths.sum()]))

        def as_one(batch: Batch, *, first_position: int) -> Any:
            pack, packed = real(batch, first_position=first_position)
            return AsOne(*(getattr(pack, name) for name in pack.__match_args__)), packed

        monkeypatch.setattr(packed_model, "pack_batch", as_one)
    probe_result = probe(model_of("bert"), classify, batch_of(), CPU)
    assert probe_result.exit is None
    assert "off by" in probe_result.reason


def alike() -> tuple[nn.Module, Batch]:
    """A model and rows of two kinds that it reads nearly alike, so that gradients cancel."""
    model, batch = model_of("bert", num_labels=1), batch_of((9, 9, 9, 9, 17))
    ids = batch.inputs["input_ids"]
    ids[1:4] = ids[:1]
    ids[:4, 3] = torch.tensor([5, 6, 5, 6])
    words = model.get_input_embeddings().weight  # type: ignore[operator, union-attr]
    with torch.no_grad():
        words[6] = words[5] + 1e-4 * words[7]
    return model, batch


def compare_pairs(model: Any, batch: Batch) -> Outputs:
    """Cross entropy over the first two rows and the next two, as of choices."""
    logits = model(**batch.inputs).logits.float()
    pairs = logits[:4].reshape(2, 2)
    loss = nn.functional.cross_entropy(pairs, torch.tensor([0, 0]), reduction="sum")
    return Outputs(loss, {"logits": logits})


def test_a_gradient_that_cancels_is_compared_in_float64() -> None:
    model, batch = alike()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    probe_result = probe(model, compare_pairs, batch, CPU)
    assert probe_result.exit == "first token, last layer cut"
    assert "in float64" in probe_result.reason, probe_result.reason
    for name, p in model.named_parameters():
        assert p.dtype == torch.float32 and torch.equal(p, before[name])


@pytest.mark.parametrize("rows", ["alike", "different"])
@pytest.mark.parametrize("where", ["always", "in float32"])
def test_a_wrong_gradient_is_found(rows: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs are right in both, and in the second float64 is, too."""
    real = packed_model.PackedLayout.run

    def run(self: Any, *inputs: Any) -> Outputs:
        outputs = real(self, *inputs)
        loss = outputs.loss_sum
        assert loss is not None
        weights = next(self.network.parameters())
        if where == "always" or weights.dtype == torch.float32:
            more = (weights * weights.detach()).sum() * 3e-4
            loss = loss + more - more.detach()
        return replace(outputs, loss_sum=loss)

    monkeypatch.setattr(packed_model.PackedLayout, "run", run)
    model, batch = alike() if rows == "alike" else (model_of("bert"), batch_of())
    run_task = compare_pairs if rows == "alike" else classify
    probe_result = probe(model, run_task, batch, CPU)
    assert probe_result.exit is None
    assert "in float64; rounding" in probe_result.reason, probe_result.reason


def test_a_model_too_large_for_float64_is_not_compared_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe_module, "installed_bytes", lambda _device: 1)
    model, batch = alike()
    probe_result = probe(model, compare_pairs, batch, CPU)
    assert probe_result.exit is None and "float64 needs more memory" in probe_result.reason


def test_the_model_is_left_in_its_mode() -> None:
    model = model_of("bert").train()
    probe(model, classify, batch_of(), CPU)
    assert model.training


def test_differences_are_relative() -> None:
    one = ([torch.tensor([100.0, 1.0])], {"w": torch.ones(3), "b": torch.zeros(3)})
    other = ([torch.tensor([100.1, 1.0])], {"w": torch.ones(3) * 1.01, "b": torch.full((3,), 1e-9)})
    outputs, gradients = difference(one, other)
    assert outputs == pytest.approx(1e-3, rel=1e-3)
    assert gradients == pytest.approx(0.01, rel=0.01)
    assert difference(one, ([torch.ones(3)], {}))[0] == float("inf")
    assert difference(one, (one[0], {"w": torch.ones(3)}))[1] == float("inf")


def test_what_is_no_number_agrees_with_nothing() -> None:
    one = ([torch.ones(2), torch.ones(2)], {"w": torch.ones(3), "b": torch.ones(3)})
    lost = torch.tensor([1.0, float("nan")])
    assert difference(one, ([torch.ones(2), lost], one[1])) == (float("inf"), 0.0)
    assert difference(one, (one[0], {**one[1], "b": torch.full((3,), float("nan"))}))[1] == float(
        "inf"
    )


def test_rows_as_long_as_the_model_takes_do_not_fail() -> None:
    """More padding than there are positions: the model refuses, so it stays as it is."""
    probe_result = probe(model_of("mobilebert"), classify, batch_of((66, 40, 66)), CPU)
    assert probe_result.exit is None and not probe_result.by_length


def test_a_model_without_a_pass_is_not_packed() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Embedding(100, 2)
            self.config = type("Config", (), {"pad_token_id": None})()

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            hidden = self.inner(input_ids) * attention_mask[..., None]
            return type("Out", (), {"logits": hidden.sum(1)})()

    probe_result = probe(Odd(), classify, batch_of(), CPU)
    assert (probe_result.exit, probe_result.by_length) == (None, True)


def test_a_window_in_the_mask_is_not_packed() -> None:
    """Rows shorter than the window agree; longer ones would see too much."""
    model = model_of("llama")
    assert probe(model, classify, batch_of(), CPU).exit == "last token"
    model.config.sliding_window = 6  # type: ignore[union-attr]  # which its layers do not name
    probe_result = probe(model, classify, batch_of(), CPU)
    assert probe_result.exit is None and "sliding window" in probe_result.reason


def test_capped_scores_are_not_packed() -> None:
    import transformers

    config = transformers.Gemma2Config(
        vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, intermediate_size=48, pad_token_id=1,
    )  # fmt: skip
    model = transformers.Gemma2ForSequenceClassification(config).eval()
    probe_result = probe(model, classify, batch_of(), CPU)
    assert probe_result.exit is None and "softcap" in probe_result.reason


def test_rows_for_the_probe_are_few_and_not_the_longest() -> None:
    lengths = np.array([100, 5, 7, 400, 9, 11, 13, 15, 6, 3])
    places = probed_places(lengths)
    assert len(places) <= 6 and 400 not in lengths[places]
    assert probed_places(np.array([4])).tolist() == [0]


def test_a_lack_of_memory_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_given: object) -> Outputs:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(packed_model.PackedLayout, "run", run)
    with pytest.raises(torch.OutOfMemoryError):
        probe(model_of("bert"), classify, batch_of(), CPU)
