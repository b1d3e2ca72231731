from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.training.fast.models import batch_of, classify, model_of
from tests.training.fast.test_engine import still
from tunesmith.training.fast.graphs.buckets import bucket_for
from tunesmith.training.fast.graphs.capture import Graphs, StaticPass
from tunesmith.training.fast.graphs.device_data import Table
from tunesmith.training.fast.packed_model import PackedLayout
from tunesmith.training.fast.probe import probe
from tunesmith.training.fast.ragged_attention import Kernels, missing_arguments

ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_on_a_cpu_it_calls() -> None:
    notes: list[str] = []
    graphs, calls = Graphs(torch.device("cpu"), notes.append), []
    for _time in range(3):
        graphs.play("one", lambda: calls.append(1))
    graphs.forget("one")
    graphs.forget()
    graphs.play("one", lambda: calls.append(2))
    assert calls == [1, 1, 1, 2] and notes == []


@ON_GPU
def test_on_a_gpu_the_second_call_is_recorded_and_replays_do_the_same() -> None:
    device = torch.device("cuda", 0)
    notes: list[str] = []
    graphs, calls = Graphs(device, notes.append), []
    total, arguments = torch.zeros(4, device=device), torch.ones(4, device=device)

    def run() -> None:
        calls.append(1)
        total.add_(arguments)

    for time in range(5):
        arguments.fill_(time)
        graphs.play("add", run)
    assert total.tolist() == [10.0] * 4
    assert len(calls) == 2 and notes == []
    graphs.forget("add")
    graphs.play("add", run)
    assert len(calls) == 3


@ON_GPU
def test_on_a_gpu_seeds_give_the_numbers_they_give_without_a_graph() -> None:
    """A function called, recorded and replayed: dropout follows `manual_seed` before each."""
    device = torch.device("cuda", 0)
    graphs = Graphs(device, lambda _note: None)
    drawn = torch.zeros(1000, device=device)

    def run() -> None:
        drawn.copy_(torch.nn.functional.dropout(torch.ones_like(drawn), 0.4))
        drawn.add_(torch.rand_like(drawn))

    result: dict[int, list[torch.Tensor]] = {1: [], 2: []}
    for seed in (1, 2, 1, 2, 1, 2):
        torch.manual_seed(seed)
        graphs.play("draw", run)
        result[seed].append(drawn.clone())
    for seed, several in result.items():
        torch.manual_seed(seed)
        run()
        assert all(torch.equal(one, drawn) for one in several)
    assert not torch.equal(result[1][0], result[2][0])


@ON_GPU
def test_on_a_gpu_what_cannot_be_recorded_is_called() -> None:
    device = torch.device("cuda", 0)
    notes: list[str] = []
    graphs = Graphs(device, notes.append)
    total = torch.zeros((), device=device)

    def run() -> None:
        total.add_(1 + 0 * float(total))  # looks at the device
        total.add_(0 * torch.rand_like(total))

    for _time in range(4):
        torch.manual_seed(7)
        graphs.play("look", run)
    assert float(total) == 4.0
    assert len(notes) == 1 and "CUDA graphs" in notes[0]


CPU = torch.device("cpu")


@pytest.mark.parametrize("family", ["bert", "roberta", "albert", "distilbert", "gpt2", "qwen3"])
def test_its_loss_and_gradients_are_those_of_the_padded_model(family: str) -> None:
    """For several batches of one bucket, over the same memory; gradients add up."""
    network: Any = still(family)
    batches = [batch_of([5, 12, 17, 9], seed=1), batch_of([20, 20, 2, 3], seed=2)]
    exact = [classify(network, batch).loss_sum for batch in batches]
    assert exact[0] is not None and exact[1] is not None
    (0.5 * exact[0] + 0.25 * exact[1]).backward()
    expected = {name: p.grad for name, p in network.named_parameters()}
    network.zero_grad(set_to_none=True)

    bucket = bucket_for(batches[0].num_tokens, 4, 20)
    assert bucket == bucket_for(batches[1].num_tokens, 4, 20)
    exit_ = probe(network, classify, batch_of(), CPU).exit
    assert exit_ is not None
    layout = PackedLayout(network, exit_)
    static = StaticPass(layout, classify, bucket, Table.empty(batches[0], bucket, CPU), half=False)
    with ExitStack() as stack:
        layout.enter(stack)
        for batch, weight, loss in zip(batches, (0.5, 0.25), exact, strict=True):
            static.weight.fill_(weight)
            static.table.fill(batch)
            static.run()
            torch.testing.assert_close(static.loss, loss.detach())
    for name, p in network.named_parameters():
        if expected[name] is None:
            assert p.grad is None
            continue
        torch.testing.assert_close(p.grad, expected[name], rtol=1e-4, atol=1e-6, msg=name)


def test_dummies_change_nothing_to_the_bit() -> None:
    """Other rows behind the real ones, other dummies: the gradient of the real ones is the same."""
    network: Any = still("bert")
    layout = PackedLayout(network, "first token")
    batch = batch_of([5, 12, 17, 9])
    result = []
    for longest in (20, 33):
        network.zero_grad(set_to_none=True)
        bucket = bucket_for(batch.num_tokens, 4, longest)
        static = StaticPass(layout, classify, bucket, Table.empty(batch, bucket, CPU), half=False)
        with ExitStack() as stack:
            layout.enter(stack)
            static.weight.fill_(1.0)
            static.table.fill(batch)
            static.run()
        result.append([static.loss, *(p.grad for p in network.parameters() if p.grad is not None)])
    for one, two in zip(*result, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-7)


def test_rows_are_taken_from_a_larger_table() -> None:
    network: Any = still("bert")
    layout = PackedLayout(network, "first token")
    whole = batch_of([5, 12, 17, 9, 8, 3])
    some = batch_of([17, 8])
    rows = torch.tensor([0, 3])  # of the table, which has the longest first: 17, 12, 9, 8
    for at, row in ((0, 2), (1, 4)):
        length = (17, 8)[at]
        some.inputs["input_ids"][at, :length] = whole.inputs["input_ids"][row, :length]
    assert some.labels is not None and whole.labels is not None
    some.labels.copy_(whole.labels[torch.tensor([2, 4])])
    room = bucket_for(whole.num_tokens, 6, 20)
    table = Table.empty(whole, room, CPU)
    table.fill(whole)
    static = StaticPass(layout, classify, bucket_for(25, 2, 20), table, half=False)
    static.take(rows)
    with ExitStack() as stack:
        layout.enter(stack)
        static.run()
    torch.testing.assert_close(static.loss, classify(network, some).loss_sum)


class OnTheDevice(TorchDispatchMode):
    """Refuses tensors of the host, of which a recording would keep an old copy."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for one in tree_leaves((args, kwargs, result)):
            assert not isinstance(one, torch.Tensor) or one.device.type == "meta", func
        return result


@pytest.mark.parametrize(
    ("family", "exit_"),
    [
        ("bert", "first token, last layer cut"),
        ("roberta", "first token, last layer cut"),
        ("electra", "first token, last layer cut"),
        ("distilbert", "first token"),
        ("modernbert", "first token"),
        ("gpt2", "last token"),
        ("llama", "last token"),
    ],
)
def test_a_pass_never_looks_at_the_device(family: str, exit_: Any) -> None:
    """On the device that knows shapes alone a look is an error; so a pass can be recorded."""
    meta, batch = torch.device("meta"), batch_of()
    assert missing_arguments("flash") == ()  # looks at a schema, once
    network: Any = model_of(family).to(meta, torch.bfloat16).train()
    layout = PackedLayout(network, exit_, Kernels())
    bucket = bucket_for(batch.num_tokens, len(batch.examples), 20)
    static = StaticPass(layout, classify, bucket, Table.empty(batch, bucket, meta), half=False)
    with ExitStack() as stack:
        layout.enter(stack)
        with OnTheDevice():
            static.run()
    assert layout.kernels is not None and layout.kernels.refusals == []
    assert any(p.grad is not None for p in network.parameters())
