"""The golden runs give the numbers that were recorded: `tests.golden` says what and why.

Where versions, processor, and threads are those of the recording, every bit is compared; elsewhere
the losses, within a relative `TOLERANCE`, and the test ends as skipped, with what differs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.golden import Golden, environment, read, record, unequal_bits, unequal_losses

TOLERANCE = 1e-5  # with the plainest instructions instead of AVX-512 it was 2e-7


def test_golden_runs(tmp_path: Path) -> None:
    recorded_in, recorded = read()
    here = environment()
    other = [
        f"{name}: {recorded_in.get(name)}, here {here[name]}"
        for name in here
        if recorded_in.get(name) != here[name]
    ]
    if recorded_in["dropout"] != here["dropout"]:
        pytest.skip(f"nothing compared, torch draws other numbers here: {'; '.join(other)}")
    runs = record(tmp_path)
    if not other:
        lines = unequal_bits(recorded, runs)
        assert not lines, "\n".join(["compared to the bit:", *lines])
        return
    why = "; ".join(other)
    lines = unequal_losses(recorded, runs, tolerance=TOLERANCE)
    assert not lines, "\n".join([f"losses compared within {TOLERANCE}, for {why}:", *lines])
    pytest.skip(f"losses agree within {TOLERANCE}; bits not compared: {why}")


def test_every_recorded_number_counts() -> None:
    """A change of any of them is a difference, and is reported with its run and its place."""
    _environment, recorded = read()
    assert len(recorded) == 6
    assert unequal_bits(recorded, recorded) == []
    assert unequal_losses(recorded, recorded, tolerance=0.0) == []
    for name, golden in recorded.items():
        losses = [float.fromhex(loss) for loss in golden.losses]
        assert len(losses) == len(golden.grad_norms) == len(golden.learning_rates) == 8
        assert len(golden.evaluations) == 2
        assert golden.scores in golden.evaluations
        last = losses[-1] * (1 + 2 * TOLERANCE)
        changes: dict[str, Golden] = {
            "losses": replace(golden, losses=[*golden.losses[:-1], last.hex()]),
            "grad_norms": replace(golden, grad_norms=["0x1p+0", *golden.grad_norms[1:]]),
            "learning_rates": replace(golden, learning_rates=golden.learning_rates[:-1]),
            "evaluations": replace(golden, evaluations=golden.evaluations[::-1]),
            "scores": replace(golden, scores={}),
            "test_scores": replace(golden, test_scores={"loss": None}),
            "weights": replace(golden, weights="0"),
        }
        for kind, changed in changes.items():
            (line,) = unequal_bits(recorded, {**recorded, name: changed})
            assert line.startswith(f"{name}: {kind}: ")
        (line,) = unequal_losses(
            recorded, {**recorded, name: changes["losses"]}, tolerance=TOLERANCE
        )
        assert line == f"{name}: step 8: the loss was {losses[-1]}, is {last}"
