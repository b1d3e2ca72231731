from __future__ import annotations

import pytest
import torch

from tunesmith.training.fast.graphs.capture import Graphs

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
    total, given = torch.zeros(4, device=device), torch.ones(4, device=device)

    def run() -> None:
        calls.append(1)
        total.add_(given)

    for time in range(5):
        given.fill_(time)
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

    found: dict[int, list[torch.Tensor]] = {1: [], 2: []}
    for seed in (1, 2, 1, 2, 1, 2):
        torch.manual_seed(seed)
        graphs.play("draw", run)
        found[seed].append(drawn.clone())
    for seed, several in found.items():
        torch.manual_seed(seed)
        run()
        assert all(torch.equal(one, drawn) for one in several)
    assert not torch.equal(found[1][0], found[2][0])


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
