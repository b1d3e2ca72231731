from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.training.fast.models import model_of
from tunesmith.training.fast.embedding import CompactVocabulary, TableGradient, table_of


def pair(padding: int | None = None) -> tuple[nn.Embedding, nn.Embedding]:
    layers = []
    for _time in range(2):
        torch.manual_seed(0)
        layers.append(nn.Embedding(20, 3, padding_idx=padding))
    return layers[0], layers[1]


batches = st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=8), min_size=1, max_size=5)


@given(batches, st.sampled_from([None, 0, 7]), st.booleans())
def test_gradients_are_torchs_own(
    steps: list[list[int]], padding: int | None, accumulates: bool
) -> None:
    """Over several steps, rows coming again, with and without setting the gradient back."""
    stock, mine = pair(padding)
    retained = TableGradient(mine)
    retained.enter(ExitStack())
    for ids in steps:
        for layer in (stock, mine):
            if not accumulates:
                layer.zero_grad()
            result = layer(torch.tensor([ids]))
            (result * torch.arange(1.0, 4.0)).square().sum().backward()
        torch.testing.assert_close(mine.weight.grad, stock.weight.grad)
    assert torch.equal(mine(torch.tensor(steps[0])), stock(torch.tensor(steps[0])))


def test_the_memory_stays() -> None:
    _stock, layer = pair()
    TableGradient(layer).enter(ExitStack())
    seen = set()
    for ids in ([1, 2], [3], [2, 4]):
        layer.zero_grad()
        layer(torch.tensor(ids)).sum().backward()
        assert layer.weight.grad is not None
        seen.add(layer.weight.grad.data_ptr())
        touched = layer.weight.grad.abs().sum(1).nonzero().flatten().tolist()
        assert touched == sorted(ids)
    assert len(seen) == 1


def test_rows_are_emptied_once() -> None:
    """What was touched is remembered for the steps since the gradient was last empty, no longer."""
    _stock, layer = pair()
    retained = TableGradient(layer)
    retained.enter(ExitStack())
    for ids in ([1, 2], [3], [2, 4]):
        layer.zero_grad()
        layer(torch.tensor(ids)).sum().backward()
        assert [rows.tolist() for rows in retained._touched] == [sorted(ids)]
    (layer(torch.tensor([5])) @ layer.weight.T).sum().backward()
    assert retained._touched == [] and retained._kept is None


def test_the_padding_token_never_learns() -> None:
    for padding in (None, 0, 2, 3):
        stock, layer = pair(padding)
        TableGradient(layer).enter(ExitStack())
        for one in (stock, layer):
            one(torch.tensor([[3, 2, 0, 0], [2, 3, 3, 1]])).sum().backward()
        torch.testing.assert_close(layer.weight.grad, stock.weight.grad)


def test_a_gradient_that_is_there_already_is_added_to() -> None:
    _stock, layer = pair()
    TableGradient(layer).enter(ExitStack())
    theirs = torch.ones(20, 3)
    layer.weight.grad = theirs
    layer(torch.tensor([5])).sum().backward()
    assert layer.weight.grad is theirs and theirs[5].tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("scaled", [False, True])
def test_updates_are_those_of_a_fresh_gradient(scaled: bool) -> None:
    """AdamW may write into the gradient (it divides by grad_scale); the next step must not see."""
    stock, mine = pair()
    TableGradient(mine).enter(ExitStack())
    optimizers = [torch.optim.AdamW(m.parameters(), lr=0.1, fused=True) for m in (stock, mine)]
    for ids in ([1, 2, 2], [3, 1], [7], [1]):
        for layer, optimizer in zip((stock, mine), optimizers, strict=True):
            layer(torch.tensor(ids)).square().sum().backward()
            if scaled:
                optimizer.grad_scale = torch.tensor(2.0)  # type: ignore[attr-defined]
            optimizer.step()
            optimizer.zero_grad()
    torch.testing.assert_close(mine.weight, stock.weight)


def test_a_table_that_is_also_used_otherwise() -> None:
    """As an output layer that multiplies with its weight: the gradient is dense in each step."""
    stock, mine = pair()
    TableGradient(mine).enter(ExitStack())
    for ids in ([1, 2, 2], [3, 1], [7], [1]):
        for layer in (stock, mine):
            layer.zero_grad()
            hidden = layer(torch.tensor(ids))
            (hidden @ layer.weight.T).square().sum().backward()
        torch.testing.assert_close(mine.weight.grad, stock.weight.grad)


def test_the_layer_is_put_back() -> None:
    stock, mine = pair()
    with ExitStack() as stack:
        TableGradient(mine).enter(stack)
        assert "forward" in vars(mine)
    assert "forward" not in vars(mine)
    assert torch.equal(mine(torch.tensor([3])), stock(torch.tensor([3])))


USED = [3, 5, 6, 11, 17]


def table(seed: int = 0) -> nn.Embedding:
    torch.manual_seed(seed)
    return nn.Embedding(20, 4, padding_idx=1)


def test_rows_go_out_and_come_back() -> None:
    layer = table()
    before = layer.weight.detach().clone()
    vocabulary = CompactVocabulary(layer, USED)
    assert vocabulary.used.tolist() == [1, *USED]  # padding is always there
    assert layer.weight.shape == (6, 4) and layer.padding_idx == 0
    ids = np.array([[5, 3, 1]])
    with ExitStack() as stack:
        vocabulary.enter(stack)
        torch.testing.assert_close(layer(torch.from_numpy(ids)), before[ids])
    assert "forward" not in vars(layer)
    with torch.no_grad():
        layer.weight += 1
    vocabulary.expand()
    assert layer.weight.shape == (20, 4) and layer.padding_idx == 1
    used = torch.tensor([1, *USED])
    torch.testing.assert_close(layer.weight[used], before[used] + 1)
    unused = torch.tensor([i for i in range(20) if i not in used])
    assert torch.equal(layer.weight[unused], before[unused])


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_updates_are_those_of_the_dense_table(decay: float) -> None:
    """AdamW over sixty steps with a changing rate: used rows equal to the bit, others decay."""
    dense, compact = table(), table()
    vocabulary = CompactVocabulary(compact, USED)
    vocabulary.enter(ExitStack())
    optimizers = [
        torch.optim.AdamW(layer.parameters(), lr=0.1, weight_decay=decay, fused=True)
        for layer in (dense, compact)
    ]
    random = np.random.default_rng(0)
    for step in range(60):
        ids = random.choice(USED, 3)
        rate = 0.1 * (1 - step / 60)
        for layer, optimizer in zip((dense, compact), optimizers, strict=True):
            layer(torch.from_numpy(ids)).square().sum().backward()
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
        vocabulary.decay(1 - rate * decay)
    vocabulary.expand()
    assert torch.equal(compact.weight[USED], dense.weight[USED])
    if not decay:
        assert torch.equal(compact.weight, dense.weight)
    torch.testing.assert_close(compact.weight, dense.weight, rtol=1e-6, atol=0)


def test_a_token_that_was_not_named_is_an_error() -> None:
    vocabulary = CompactVocabulary(table(), USED)
    with pytest.raises(KeyError, match="token 7 "):
        vocabulary.check(np.array([[3, 5], [7, 3]]))
    vocabulary.check(np.array([[3, 5], [17, 1]]))
    vocabulary.check(np.zeros(0, dtype=np.int64))


def test_moments_are_widened_and_narrowed() -> None:
    layer = table()
    vocabulary = CompactVocabulary(layer, USED)
    moment = torch.randn(6, 4)
    wide = vocabulary.widen(moment)
    assert wide.shape == (20, 4)
    assert torch.equal(vocabulary.narrow(wide), moment)
    assert wide.abs().sum() == moment.abs().sum()


def test_an_optimizer_is_lent_and_handed_back() -> None:
    """Made for the full table, it trains the used rows, and holds the full table afterwards."""
    layer, other = table(), torch.nn.Parameter(torch.ones(2))
    full = layer.weight
    optimizer = torch.optim.AdamW([{"params": [other]}, {"params": [full], "lr": 0.5}], lr=0.1)
    for parameter in (full, other):
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    before = {name: value.clone() for name, value in optimizer.state[full].items()}
    vocabulary = CompactVocabulary(layer, USED)
    compact = layer.weight
    vocabulary.lend(optimizer)
    assert vocabulary.group_in(optimizer) is optimizer.param_groups[1]
    assert optimizer.param_groups[0]["params"] == [other]
    assert optimizer.param_groups[1]["params"][0] is compact and full not in optimizer.state
    assert torch.equal(optimizer.state[compact]["exp_avg"], before["exp_avg"][vocabulary.used])
    vocabulary.lend(optimizer)  # one that is lent already stays as it is
    assert optimizer.state[compact]["exp_avg"].shape == compact.shape
    vocabulary.hand_back(optimizer)
    assert optimizer.param_groups[1]["params"][0] is full and compact not in optimizer.state
    state = optimizer.state[full]
    assert state["step"] == before["step"] and state["exp_avg"].shape == full.shape
    used = torch.zeros(len(full), dtype=torch.bool)
    used[vocabulary.used] = True
    assert torch.equal(state["exp_avg_sq"][used], before["exp_avg_sq"][used])
    assert state["exp_avg_sq"][~used].abs().sum() == 0


def test_a_look_at_the_compact_table_while_plain() -> None:
    layer = table()
    vocabulary = CompactVocabulary(layer, USED)
    compact = layer.weight
    vocabulary.expand()
    with vocabulary.compacted():
        assert layer.weight is compact
    assert layer.weight.shape == (20, 4) and not vocabulary.is_compact
    vocabulary.compact()
    with vocabulary.compacted():
        pass
    assert vocabulary.is_compact


def test_weights_loaded_plain_are_taken_over() -> None:
    layer = table()
    vocabulary = CompactVocabulary(layer, USED)
    vocabulary.expand()
    with torch.no_grad():
        layer.weight.copy_(torch.arange(80.0).view(20, 4))
    vocabulary.take()
    vocabulary.compact()
    assert layer.weight[1].tolist() == [12.0, 13.0, 14.0, 15.0]


def test_tables_that_must_stay_whole() -> None:
    assert table_of(model_of("bert")) is not None
    tied = model_of("bert", "AutoModelForMaskedLM")
    assert table_of(tied) is None  # its rows are outputs, too
    frozen = model_of("bert")
    frozen.get_input_embeddings().weight.requires_grad_(requires_grad=False)  # type: ignore[operator]
    assert table_of(frozen) is None
