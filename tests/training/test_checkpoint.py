from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from tests.capabilities import needs
from tests.storage.test_atomic import DAMAGES
from tests.training.stepping import update
from tunesmith.data.batches import Batch
from tunesmith.errors import IntegrityError, ResourceError, Severity
from tunesmith.storage import atomic
from tunesmith.tasks import Outputs
from tunesmith.training import checkpoint
from tunesmith.training.device import make_accelerator
from tunesmith.training.engine import ExactEngine
from tunesmith.training.progress import Progress


class Tied(nn.Module):
    """Two layers that share a weight, as embeddings and output do in many models."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.two.weight = self.one.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.one(x))


def engine_of(model: nn.Module) -> ExactEngine:
    def run(network: nn.Module, batch: Batch) -> Outputs:
        return Outputs(network(batch.inputs["x"]).square().sum(), {})

    trained = [p for p in model.parameters() if p.requires_grad]
    return ExactEngine(
        model,
        run,
        make_accelerator(device="cpu"),
        make_optimizer=lambda: torch.optim.AdamW(trained, fused=True),
        max_grad_norm=None,
    )


def trained(steps: int = 3) -> ExactEngine:
    torch.manual_seed(steps)
    model = Tied()
    model.one.bias.requires_grad_(requires_grad=False)
    engine = engine_of(model)
    for _step in range(steps):
        batch = Batch({"x": torch.randn(8, 4)}, None, 8, 0, np.arange(8))
        engine.accumulate(batch, 1.0, is_last=True)
        update(engine, 1e-3)
    return engine


def save(home: Path, step: int, steps: int = 3) -> ExactEngine:
    engine = trained(steps)
    progress = Progress(step=step, best_step=2, best_value=0.5, evaluated_at=2)
    checkpoint.save(home, engine, progress, {"train_seconds": 1.5}, {"data": "a"})
    return engine


def state(engine: ExactEngine) -> dict[str, torch.Tensor]:
    return {**engine.network.state_dict(), **engine.state()}


def test_it_comes_back_to_the_bit(tmp_path: Path) -> None:
    engine, fresh = save(tmp_path, 5), trained(1)
    result, warnings = checkpoint.latest(tmp_path)
    assert result is not None
    assert warnings == []
    checkpoint.restore(result, fresh)
    before, after = state(engine), state(fresh)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]), name
        assert value.dtype == after[name].dtype
    assert result.progress == Progress(step=5, best_step=2, best_value=0.5, evaluated_at=2)
    assert result.facts == {"train_seconds": 1.5}
    assert result.fingerprint == {"data": "a"}
    assert fresh.network.one.weight is fresh.network.two.weight


def test_only_safetensors_and_json(tmp_path: Path) -> None:
    save(tmp_path, 1)
    names = {p.name for p in (tmp_path / "step-00000001").iterdir()}
    assert names == {"model.safetensors", "optimizer.safetensors", "state.json", atomic.MANIFEST}


def test_without_a_fingerprint_it_says_so(tmp_path: Path) -> None:
    folder = checkpoint.save(tmp_path, trained(), Progress(step=1), {})
    assert checkpoint.read(folder).fingerprint == {}


def test_one_under_the_name_of_another_step_is_damaged(tmp_path: Path) -> None:
    save(tmp_path, 3)
    save(tmp_path, 5)
    (tmp_path / "step-00000005").rename(tmp_path / "step-00000009")
    with pytest.raises(ValueError, match="it holds step 5"):
        checkpoint.read(tmp_path / "step-00000009")
    result, warnings = checkpoint.latest(tmp_path)
    assert result is not None and result.progress.step == 3
    assert [problem.code for problem in warnings] == ["C101"]
    assert "it holds step 5" in warnings[0].message
    (tmp_path / "step-00000003").rename(tmp_path / "copy-of-three")
    assert checkpoint.read(tmp_path / "copy-of-three").progress.step == 3


def test_the_newest_by_step_not_by_time(tmp_path: Path) -> None:
    for step in (12, 3, 7):
        save(tmp_path, step)
    assert checkpoint.saved_steps(tmp_path) == [3, 7, 12]
    result, _warnings = checkpoint.latest(tmp_path)
    assert result is not None and result.progress.step == 12


FILES = ["model.safetensors", "optimizer.safetensors", "state.json", atomic.MANIFEST]


@pytest.mark.parametrize("harm", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_newest_is_set_aside(
    harm: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    harm(tmp_path / "step-00000002" / name)
    result, warnings = checkpoint.latest(tmp_path)
    assert result is not None and result.progress.step == 1
    assert [(w.code, w.severity) for w in warnings] == [("C101", Severity.WARNING)]
    assert "step-00000002" in str(warnings[0])
    (retained,) = tmp_path.glob(".bad-step-00000002-*")
    assert warnings[0].evidence == (f"kept as {retained.name}",)
    assert checkpoint.saved_steps(tmp_path) == [1]


def test_all_damaged_is_never_from_scratch_in_silence(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path, step)
        (tmp_path / f"step-{step:08d}" / "state.json").unlink()
    with pytest.raises(IntegrityError, match="C102") as caught:
        checkpoint.latest(tmp_path)
    assert caught.value.exit_code == 6
    assert "--restart" in str(caught.value)
    with pytest.raises(IntegrityError, match="C102"):  # nor the second time
        checkpoint.latest(tmp_path)


def test_whole_but_foreign_state_is_damage_too(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with atomic.publish(tmp_path / "step-00000002") as folder:
        (folder / "state.json").write_text(json.dumps({"progress": {"nonsense": 1}}))
    result, warnings = checkpoint.latest(tmp_path)
    assert result is not None and result.progress.step == 1
    assert len(warnings) == 1


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path / "none") == (None, [])


def test_of_another_model(tmp_path: Path) -> None:
    save(tmp_path, 1)
    result, _warnings = checkpoint.latest(tmp_path)
    assert result is not None
    other = nn.Linear(4, 4)
    with pytest.raises(IntegrityError, match="C109"):
        checkpoint.restore(result, engine_of(other))


def test_saving_the_same_step_again_keeps_it(tmp_path: Path) -> None:
    save(tmp_path, 1)
    before = (tmp_path / "step-00000001" / atomic.MANIFEST).stat().st_mtime_ns
    save(tmp_path, 1)
    assert (tmp_path / "step-00000001" / atomic.MANIFEST).stat().st_mtime_ns == before
    (tmp_path / "step-00000001" / "state.json").write_text("")
    save(tmp_path, 1)
    assert atomic.damage(tmp_path / "step-00000001") is None


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    for step in range(1, 8):
        save(tmp_path, step)
    checkpoint.retain(tmp_path, newest=2, best_step=3)
    assert checkpoint.saved_steps(tmp_path) == [2, 3, 6, 7]  # 2 was the best for 6 and 7


HARMS: dict[str, Callable[[Path], object]] = {
    "cut": lambda folder: (folder / "state.json").write_text('{"pro'),
    "a number": lambda folder: (folder / "state.json").write_text("5"),
    "a list": lambda folder: (folder / "state.json").write_text('{"progress": [], "facts": {}}'),
    "deep": lambda folder: (folder / "state.json").write_text("[" * 100_000),
    "another type": lambda folder: (folder / "state.json").write_text(
        '{"progress": {"best_step": "2"}, "facts": {}}'
    ),
    "a folder": lambda folder: (
        (folder / "state.json").unlink(),
        (folder / "state.json").mkdir(),
    ),
    "no text": lambda folder: (folder / "state.json").write_bytes(b"\xff\xfe"),
    "missing": lambda folder: (folder / "state.json").unlink(),
    "empty": lambda folder: shutil.rmtree(folder) or folder.mkdir(),
    "a file": lambda folder: shutil.rmtree(folder) or folder.write_text(""),
    "a link": lambda folder: shutil.rmtree(folder) or folder.symlink_to("nowhere"),
}


@pytest.mark.parametrize(
    "harm",
    [pytest.param(harm, marks=needs("links")) if "link" in harm else harm for harm in HARMS],
)
def test_an_older_checkpoint_that_is_damaged_does_not_matter(harm: str, tmp_path: Path) -> None:
    for step in (3, 4, 5, 6):
        save(tmp_path, step)
    for step in (4, 5):
        HARMS[harm](tmp_path / f"step-{step:08d}")
    checkpoint.retain(tmp_path, newest=2, best_step=3)
    assert checkpoint.saved_steps(tmp_path) == [3, 5, 6]


def test_one_that_cannot_be_deleted_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (1, 2, 3):
        save(tmp_path, step)
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name == "step-00000001":
            raise OSError(5, "Input/output error")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    checkpoint.retain(tmp_path, newest=1, best_step=3)
    assert checkpoint.saved_steps(tmp_path) == [1, 2, 3]  # 2 was the best for 3


@pytest.mark.parametrize(
    "progress",
    [
        5, [], {"step": "1"}, {"step": 1.5}, {"step": True}, {"nonsense": 1}, {"best_value": "x"},
        {"step": None}, {"micro_batch_size": 0.5},
    ],
)  # fmt: skip
def test_a_state_of_another_shape_is_refused(progress: object, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(json.dumps({"progress": progress, "facts": {}}))
    with pytest.raises(ValueError, match=r"."):
        checkpoint.read(tmp_path)
    (tmp_path / "state.json").write_text(json.dumps({"progress": {}, "facts": progress}))
    if not isinstance(progress, dict | list):
        with pytest.raises(ValueError, match=r"state\.json cannot be read"):
            checkpoint.read(tmp_path)


def test_a_state_of_an_older_version_lacks_fields(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"progress": {"step": 3, "best_value": 1}, "facts": {}}')
    assert checkpoint.read(tmp_path).progress == Progress(step=3, best_value=1.0)


def test_names_that_are_no_steps(tmp_path: Path) -> None:
    for name in (
        "step-1",
        "step-000000001",
        "step-0000000x",
        "step-٠٠٠٠٠٠٠١",
        "step-" + "1" * 5000,
    ):
        if len(name) < 200:
            (tmp_path / name).mkdir()
    (tmp_path / "step-123456789").mkdir()
    (tmp_path / "step-00000007").write_text("")
    assert checkpoint.saved_steps(tmp_path) == [7, 123_456_789]
    (tmp_path / "file").write_text("")
    assert checkpoint.saved_steps(tmp_path / "file") == []


def test_the_optimizer_of_another_model(tmp_path: Path) -> None:
    save(tmp_path, 1)
    result, _warnings = checkpoint.latest(tmp_path)
    assert result is not None
    state = {name: torch.zeros(7) for name in trained(1).state()}
    checkpoint.save_file(state, tmp_path / "step-00000001" / "optimizer.safetensors")
    with pytest.raises(IntegrityError, match="C109"):
        checkpoint.restore(result, trained(1))


@pytest.mark.parametrize("name", ["load_model", "load_file"])
def test_a_lack_of_memory_is_not_another_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1)
    result, _warnings = checkpoint.latest(tmp_path)
    assert result is not None

    def fail(*_arguments: object, **_keywords: object) -> None:
        raise RuntimeError("unable to mmap 4096 bytes: Cannot allocate memory (12)")

    monkeypatch.setattr(checkpoint, name, fail)
    with pytest.raises(RuntimeError, match="mmap"):
        checkpoint.restore(result, trained(1))


def test_nothing_is_deleted_while_the_newest_is_damaged(tmp_path: Path) -> None:
    for step in range(1, 5):
        save(tmp_path, step)
    (tmp_path / "step-00000004" / "model.safetensors").write_bytes(b"")
    checkpoint.retain(tmp_path, newest=1, best_step=0)
    assert checkpoint.saved_steps(tmp_path) == [1, 2, 3, 4]


def test_a_full_disk_leaves_nothing_partial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1)

    def full(*_arguments: object, **_keywords: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(ResourceError, match="C107"):
        save(tmp_path, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]


def test_tensors_of_no_weight_are_refused_by_name(tmp_path: Path) -> None:
    save(tmp_path, 1)
    result, _warnings = checkpoint.latest(tmp_path)
    assert result is not None
    foreign = {f"{name}.step": torch.zeros(()) for name in "dbca"}
    state = trained(1).state() | foreign
    checkpoint.save_file(state, tmp_path / "step-00000001" / "optimizer.safetensors")
    unknown = trained(1).load_state(state)
    with pytest.raises(IntegrityError, match="C109") as caught:
        checkpoint.restore(result, trained(1))
    (problem,) = caught.value.problems
    assert problem.message.endswith(": " + ", ".join(sorted(set(unknown))[:3]))
    assert len(set(unknown)) == 4


def test_weights_say_which_library_reads_them(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with safe_open(tmp_path / "step-00000001" / "model.safetensors", framework="pt") as file:
        assert file.metadata()["format"] == "pt"


def test_a_state_that_is_no_finite_number_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        checkpoint.save(tmp_path, trained(), Progress(step=1, best_value=float("nan")), {})
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_left_over_are_refused(tmp_path: Path) -> None:
    engine = save(tmp_path, 1)
    checkpoint.load_weights(tmp_path / "step-00000001", engine.network)
    part = nn.Module()
    part.one = nn.Linear(4, 4)
    with pytest.raises(IntegrityError, match="C109"):
        checkpoint.load_weights(tmp_path / "step-00000001", part)
