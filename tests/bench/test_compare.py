from __future__ import annotations

from pathlib import Path

from tests.bench.test_contenders import settings
from tunesmith.bench.compare import compare, machine, steps_taken
from tunesmith.bench.contenders import CONTENDERS, Contender


def test_the_same_training_side_by_side(tickets: Path, tiny_bert: Path) -> None:
    """Trainer and both engines: the same rows in the same order, the same losses."""
    said: list[str] = []
    results = compare(
        [CONTENDERS["trainer"], CONTENDERS["exact"], CONTENDERS["fast"],
         Contender("broken", "tunesmith", {"train.device": "cuda"})],
        {**settings(tickets, tiny_bert), "train.max_steps": steps_taken(2, 3)},
        turns=2,
        steps=3,
        say=said.append,
    )  # fmt: skip
    trainer, exact, fast, broken = results
    assert (trainer.ratio, trainer.ratio_quartiles) == (1.0, (1.0, 1.0))
    for result in (trainer, exact, fast):
        assert result.problem is None and result.same_rows
        assert result.samples_per_second > 0 and result.peak_mb > 100
        assert abs(result.loss - trainer.loss) < 1e-4
    assert trainer.fraction is None and fast.fraction is not None and 0 < fast.fraction < 1.5
    assert broken.problem is not None and broken.ratio == 0
    assert len(said) == 6, "the turn that warms up is not told, and not counted"
    assert fast.as_json()["name"] == "fast"


def test_the_machine_is_named() -> None:
    facts = machine()
    assert facts["torch"] and facts["cores"] >= 1
