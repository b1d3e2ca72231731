"""A run whose folder has a copy in a store: stopped, moved to another machine, finished."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.remote.disloyal import Hooked, killing
from tests.remote.servers import s3_server
from tests.runs.children import ended, in_child, start_each, train
from tests.runs.machines import cut_back
from tunesmith.api.runs import fetch_run
from tunesmith.api.train import start
from tunesmith.errors import RecipeError, ResourceError, TunesmithError
from tunesmith.remote.fetch import snapshots
from tunesmith.remote.location import Location
from tunesmith.remote.open_store import open_store
from tunesmith.remote.snapshot import OBJECTS
from tunesmith.remote.store import Store
from tunesmith.runs import remote_folder
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.remote_folder import _bring_up_to_date, mirrored, peek
from tunesmith.storage.lock import hold

SETTINGS: dict[str, object] = {
    "train.epochs": 2,
    "train.batch_size": 8,
    "train.learning_rate": 1e-3,
    "train.save_every": "3 steps",
    "train.evaluate_every": "5 steps",
    "train.log_every": 1,
    "data.validation": "20%",
}
STEPS = 12


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"file://{tmp_path}/store"


def store_at(address: str) -> Store:
    return open_store(Location.read(address))


def run_to(
    step: int | None, out: Path, data: Path, model: Path, address: str | None, **sets: object
) -> list[Any]:
    """Train up to a checkpoint, or to the end; returns the events."""
    settings = {**SETTINGS, "model": str(model), **sets}
    events = start(str(data), out=out, settings=settings, remote=address)
    seen = []
    for event in events:
        seen.append(event)
        if type(event).__name__ == "Saved" and event.step == step:
            events.close()
            break
    return seen


def steps_in(events: list[Any]) -> int:
    return [type(event).__name__ for event in events].count("StepDone")


def model_bytes(out: Path) -> bytes:
    return (out / "model" / "model.safetensors").read_bytes()


def test_another_machine_continues_with_the_same_bits(
    tickets: Path, tiny_bert: Path, tmp_path: Path, address: str
) -> None:
    whole, first, second, third = (tmp_path / name / "run" for name in "abcd")
    run_to(None, whole, tickets, tiny_bert, None)
    run_to(6, first, tickets, tiny_bert, address)
    shutil.rmtree(first)
    events = run_to(None, second, tickets, tiny_bert, address)
    assert steps_in(events) == STEPS - 6, "it goes on where the first machine stopped"
    assert model_bytes(second) == model_bytes(whole)
    assert steps_in(run_to(None, third, tickets, tiny_bert, address)) == 0
    assert model_bytes(third) == model_bytes(whole)
    assert RunFolder(third).events() == RunFolder(second).events()
    assert (third / "report.html").read_bytes() == (second / "report.html").read_bytes()
    fetched = fetch_run(address, tmp_path / "fetched")
    assert fetched.scores and model_bytes(fetched.folder) == model_bytes(whole)
    with peek(Location.read(address)) as folder:
        assert folder.events() == RunFolder(second).events()
        assert folder.facts() == RunFolder(second).facts()
    assert not folder.path.exists()


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path
) -> tuple[Path, Path, list[Path]]:
    """A finished run with all checkpoints, its data, and copies of its store after each state."""
    from tests.conftest import ticket_rows

    home = tmp_path_factory.mktemp("finished")
    data = home / "tickets.csv"
    data.write_text("\n".join(",".join(row) for row in ticket_rows(60)) + "\n")
    address, stores = f"file://{home}/store", []
    events = start(
        str(data),
        out=home / "run",
        settings={**SETTINGS, "model": str(tiny_bert), "train.keep_checkpoints": 9},
        remote=address,
    )
    for event in events:
        if type(event).__name__ == "Saved":
            assert_sent(store_at(address), event.step)
            target = home / f"store-{event.step}"
            stores.append(
                shutil.copytree(home / "store", target, ignore=shutil.ignore_patterns(".*"))
            )
    stores.append(home / "store")
    return home / "run", data, [Path(store) for store in stores]


def assert_sent(store: Store, step: int) -> None:
    import time

    deadline = time.monotonic() + 60
    while not (states := snapshots(store)[0]) or states[0].step != step:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def local_copy(run: Path, target: Path, step: int | None) -> RunFolder:
    """A copy of a run as of a step; None for finished."""
    shutil.copytree(run, target)
    if step is not None:
        cut_back(target, step)
        (target / "report.html").unlink()
        with (target / "events.jsonl").open() as log:
            lines = [line for line in log if f'"step": {step + 1},' not in line]
        (target / "events.jsonl").write_text("".join(lines))
    return RunFolder(target)


@pytest.mark.slow
def test_the_one_that_is_further_counts(
    finished: tuple[Path, Path, list[Path]], tmp_path: Path
) -> None:
    run, _data, stores = finished
    steps = [int(path.name.split("-")[1]) for path in stores[:-1]]
    assert {3, 9} <= set(steps)
    for number, (here, there, expected) in enumerate(
        [
            (3, 9, 9),  # local checkpoints stay, what the store has more of comes
            (9, 3, 9),
            (9, 9, 9),
            (None, 9, None),
            (9, None, None),
            (None, None, None),
        ]
    ):
        local = local_copy(run, tmp_path / f"run-{number}", here)
        before = {path.name for path in local.checkpoints.iterdir()}
        store = store_at(f"file://{stores[-1] if there is None else stores[steps.index(there)]}")
        known, was_fetched = _bring_up_to_date(local, store)
        assert was_fetched == (not (here is None or (here, there) in ((9, 3), (9, 9))))
        assert known is not None and known.is_finished == (there is None)
        assert local.is_finished == (expected is None)
        if expected is not None:
            assert remote_folder._whole_step(local) == expected
        assert before <= {path.name for path in local.checkpoints.iterdir()}


@pytest.mark.slow
def test_another_run_is_refused_before_anything_changes(
    finished: tuple[Path, Path, list[Path]], tmp_path: Path, tiny_bert: Path, tickets: Path
) -> None:
    run, data, stores = finished
    other = tmp_path / "other" / "run"
    run_to(3, other, tickets, tiny_bert, None, **{"train.seed": 7})
    before = sorted(path.name for path in other.rglob("*"))
    with pytest.raises(RecipeError, match="C169"):
        run_to(None, other, tickets, tiny_bert, f"file://{stores[-1]}", **{"train.seed": 7})
    assert sorted(path.name for path in other.rglob("*")) == before
    with pytest.raises(RecipeError, match="C169"):
        next(
            start(
                str(data), out=run, settings={**SETTINGS, "model": str(tiny_bert)},
                restart=True, remote=f"file://{stores[-1]}",
            )
        )  # fmt: skip
    assert RunFolder(run).is_finished, "the local run is where it was"
    with pytest.raises(RecipeError, match=r"C169.*another recipe"):
        run_to(None, tmp_path / "new", data, tiny_bert, f"file://{stores[-1]}", **{"train.seed": 7})
    left = [p.name for p in (tmp_path / "new").iterdir() if not p.name.startswith(".")]
    assert left == [], "what was fetched in vain is deleted"


@pytest.mark.slow
def test_a_damaged_local_checkpoint_comes_from_the_store(
    finished: tuple[Path, Path, list[Path]], tmp_path: Path
) -> None:
    run, _data, stores = finished
    local = local_copy(run, tmp_path / "run", 9)
    (local.checkpoints / "step-00000009" / "state.json").write_text("damaged")
    _bring_up_to_date(local, store_at(f"file://{stores[3]}"))
    assert remote_folder._whole_step(local) == 9
    assert list(local.checkpoints.glob(".bad-step*"))


@pytest.mark.slow
def test_a_finished_run_that_was_not_stored_is_sent_by_the_same_command(
    tickets: Path, tiny_bert: Path, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store takes nothing: training is not disturbed, and the end is an error of its own."""

    def away(when: str, name: str, key: str) -> None:
        is_of_a_state = not key.startswith(("probes", "lease"))
        if when == "before" and name in ("upload", "create") and is_of_a_state:
            raise ConnectionError("no route to host")

    real = remote_folder.open_store
    monkeypatch.setattr(remote_folder, "open_store", lambda place: Hooked(real(place), away))
    out = tmp_path / "a" / "run"
    events: list[Any] = []
    with pytest.raises(ResourceError, match=r"C166.*does not answer") as raised:
        events.extend(
            start(
                str(tickets),
                out=out,
                settings={**SETTINGS, "model": str(tiny_bert)},
                remote=address,
            )
        )
    assert raised.value.exit_code == 4
    assert steps_in(events) == STEPS
    warned = [event.problem.code for event in events if type(event).__name__ == "Warned"]
    assert warned.count("C165") == 1
    assert RunFolder(out).is_finished, "local work is never lost"
    monkeypatch.undo()
    assert steps_in(run_to(None, out, tickets, tiny_bert, address)) == 0
    assert snapshots(store_at(address))[0][0].is_finished


def train_remotely(
    out: Path, data: Path, model: Path, address: str, hook: Callable[..., None] | None = None
) -> None:
    """Train to the end in a child; the process ends with the exit code of an error."""
    if hook is not None:
        real = remote_folder.open_store
        remote_folder.open_store = lambda place: Hooked(real(place), hook)  # type: ignore[assignment]
    os.environ["TUNESMITH_CACHE"] = str(out.parent / "cache")
    try:
        for _event in start(
            str(data), out=out, settings={**SETTINGS, "model": str(model)}, remote=address
        ):
            pass
    except TunesmithError as error:
        (out.parent / "error.txt").write_text(str(error))
        os._exit(error.exit_code)


def train_and_die(
    moment: int, out: Path, data: Path, model: Path, address: str, environment: dict[str, str]
) -> None:
    os.environ.update(environment)
    train_remotely(out, data, model, address, killing(moment))


def train_with(
    out: Path, data: Path, model: Path, address: str, environment: dict[str, str]
) -> None:
    os.environ.update(environment)
    train_remotely(out, data, model, address)


def train_and_stop(step: int, out: Path, data: Path, model: Path, address: str) -> None:
    """The same; gets SIGTERM before a step."""
    from tunesmith.runs.session import Session

    real = Session.micro_batches

    def micro_batches(self: Session, number: int) -> Any:
        if number == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, number)

    Session.micro_batches = micro_batches  # type: ignore[method-assign]
    train_remotely(out, data, model, address)


def killed_and_continued(
    moments: list[int], data: Path, model: Path, tmp_path: Path, address: Callable[[int], str]
) -> None:
    """At each moment: killed, the folder lost, continued elsewhere with the same bits."""
    whole = tmp_path / "whole" / "run"
    assert in_child(train, whole, data, model, SETTINGS) == 0
    codes = []
    environment = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
    for moment in moments:
        first, second = (tmp_path / f"{name}-{moment}" / "run" for name in ("first", "second"))
        for out in (first, second):
            out.parent.mkdir()
        code = in_child(train_and_die, moment, first, data, model, address(moment), environment)
        codes.append(code)
        assert code in (0, -signal.SIGKILL)
        shutil.rmtree(first.parent)
        assert in_child(train_with, second, data, model, address(moment), environment) == 0
        assert model_bytes(second) == model_bytes(whole), f"killed at moment {moment}"
        states, warnings = snapshots(store_at(address(moment)))
        assert states[0].is_finished and not warnings
        named = set().union(*(state.objects for state in states))
        assert set(store_at(address(moment)).keys(OBJECTS)) == named
        shutil.rmtree(second.parent)
    assert -signal.SIGKILL in codes


@pytest.mark.slow
def test_a_kill_at_any_operation_on_the_store(
    tickets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    moments = sorted(random.Random(18).sample(range(1, 160), 16))
    killed_and_continued(
        moments, tickets, tiny_bert, tmp_path, lambda moment: f"file://{tmp_path}/store-{moment}"
    )


@pytest.mark.slow
def test_a_kill_at_any_operation_on_s3(tickets: Path, tiny_bert: Path, tmp_path: Path) -> None:
    with s3_server("kills") as bucket:
        killed_and_continued(
            [25, 40, 60, 90], tickets, tiny_bert, tmp_path, lambda m: f"s3://{bucket}/run-{m}"
        )


@pytest.mark.slow
def test_the_last_save_at_a_stop_is_sent(
    tickets: Path, tiny_bert: Path, tmp_path: Path, address: str
) -> None:
    whole, first, second = (tmp_path / name / "run" for name in "abc")
    for out in (whole, first, second):
        out.parent.mkdir()
    assert in_child(train, whole, tickets, tiny_bert, SETTINGS) == 0
    assert in_child(train_and_stop, 7, first, tickets, tiny_bert, address) == 75
    assert snapshots(store_at(address))[0][0].step == 8
    shutil.rmtree(first)
    assert in_child(train_remotely, second, tickets, tiny_bert, address) == 0
    assert model_bytes(second) == model_bytes(whole)


@pytest.mark.slow
def test_several_machines_and_all_of_their_folders_lost(
    tickets: Path, tiny_bert: Path, tmp_path: Path, address: str
) -> None:
    """Process 0 alone talks to the store; the other one gets the checkpoint from it."""
    outs = {name: [tmp_path / f"{name}-{rank}" / "run" for rank in (0, 1)] for name in "wab"}
    for each in outs.values():
        for out in each:
            out.parent.mkdir()
    jobs = {name: [(out, tickets, tiny_bert, address) for out in outs[name]] for name in ("a", "b")}
    whole = start_each(train, *[(out, tickets, tiny_bert, SETTINGS) for out in outs["w"]])
    assert ended(whole) == [0, 0]
    stopped = start_each(train_and_stop, *[(5, *job) for job in jobs["a"]])
    assert ended(stopped) == [75, 75]
    assert not outs["a"][1].exists()
    shutil.rmtree(outs["a"][0])
    assert ended(start_each(train_remotely, *jobs["b"])) == [0, 0]
    assert model_bytes(outs["b"][0]) == model_bytes(outs["w"][0])
    assert not outs["b"][1].exists()


def test_without_an_address_there_is_no_copy(tmp_path: Path) -> None:
    with mirrored(RunFolder(tmp_path), None) as folder:
        assert folder is None


def test_there_is_no_run(address: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="C113"):
        fetch_run(address, tmp_path / "run")
    with pytest.raises(RecipeError, match="C113"), peek(Location.read(address)):
        pass
    with hold(tmp_path / "run"):  # the folder is not left held
        pass


def test_a_slow_store_is_said_before_the_first_step(
    memory_folder: remote_folder.RemoteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_folder, "bytes_per_second", lambda _store, _fence: 1e6)
    assert memory_folder.slow_upload(40_000_000) is None
    problem = memory_folder.slow_upload(60_000_000)
    assert problem is not None and problem.code == "C167" and "60 s" in problem.message


@pytest.fixture
def memory_folder(tmp_path: Path) -> Any:
    with mirrored(RunFolder(tmp_path / "run"), Location.read("memory://tests/slow")) as folder:
        yield folder
