"""What is sent counts whole, and is fetched whole; a late writer changes nothing of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.remote.disloyal import Hooked, Wrapped
from tunesmith.errors import FolderInUseError, IntegrityError
from tunesmith.remote.fetch import fetch_newest, snapshots
from tunesmith.remote.lease import Lease
from tunesmith.remote.snapshot import MANIFESTS, OBJECTS
from tunesmith.remote.store import Store
from tunesmith.remote.upload import LocalFile, State, Superseded, Uploader
from tunesmith.storage import atomic


def write_state(run: Path, step: int, *, best: int | None = None, finished: bool = False) -> State:
    """Files of a run as of a step, each state with other content."""
    run.mkdir(exist_ok=True)
    (run / "recipe.yaml").write_text("recipe\n")
    (run / "plan.json").write_text("plan\n")
    with (run / "events.jsonl").open("a") as log:
        log.write(f"step {step}\n")
    files = [LocalFile(name, run / name) for name in ("recipe.yaml", "plan.json")]
    folders = ["model"] if finished else [f"checkpoints/step-{s:08d}" for s in {best or step, step}]
    for name in folders:
        if not (run / name).exists():
            with atomic.publish(run / name) as folder:
                (folder / "model.safetensors").write_text(f"weights of {name} {step}")
                (folder / "state.json").write_text(f"state of {name}")
        for file in ("model.safetensors", "state.json"):
            path = run / name / file
            files.append(LocalFile(f"{name}/{file}", path, atomic.sha256_of(path)))
    size = (run / "events.jsonl").stat().st_size
    return State(step, finished, {"recipe": {}}, tuple(files), run / "events.jsonl", size)


def contents(run: Path) -> dict[str, bytes]:
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def owner(store: Store) -> Lease:
    lease = Lease(store)
    lease.take(lambda _problem: None)
    return lease


def expire(store: Store) -> None:
    stored = store.read("lease.json")
    assert stored is not None
    facts = {**json.loads(stored.content), "expires": 0}
    store.write("lease.json", json.dumps(facts).encode())


def test_a_state_comes_back_byte_for_byte(store: Store, tmp_path: Path) -> None:
    lease = owner(store)
    uploader = Uploader(store, lease, run=None)
    uploader.send(write_state(tmp_path / "here", 3))
    uploader.send(write_state(tmp_path / "here", 6, best=3))
    lease.release()
    snapshot, warnings = fetch_newest(store, tmp_path / "there")
    assert snapshot is not None and snapshot.step == 6
    assert not warnings
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert len(snapshot.files["events.jsonl"].parts) == 2, "a part per checkpoint"
    assert fetch_newest(store, tmp_path / "there")[0] == snapshot, "again: nothing to do"


def test_two_states_are_kept_and_nothing_else(memory: Store, tmp_path: Path) -> None:
    lease = owner(memory)
    uploader = Uploader(memory, lease, run=None)
    for step in (3, 6, 9, 12):
        uploader.send(write_state(tmp_path / "run", step))
    states, _warnings = snapshots(memory)
    assert [state.step for state in states] == [12, 9]
    named = states[0].objects | states[1].objects
    assert set(memory.keys(OBJECTS)) == named
    lease.release()


def test_what_is_there_is_not_sent_again(memory: Store, tmp_path: Path) -> None:
    sent: list[str] = []

    def hook(when: str, name: str, key: str) -> None:
        if name == "upload" and when == "before":
            sent.append(key)

    lease = owner(memory)
    uploader = Uploader(Hooked(memory, hook), lease, run=None)
    uploader.send(write_state(tmp_path / "run", 3))
    count = len(sent)
    uploader.send(write_state(tmp_path / "run", 6, best=3))
    assert len(sent) - count == 3, "two files of the checkpoint, and a part of the log"
    lease.release()


def test_a_late_writer_loses(memory: Store, tmp_path: Path) -> None:
    first = owner(memory)
    late = Uploader(memory, first, run=None)
    late.send(write_state(tmp_path / "late", 3))
    fetch_newest(memory, tmp_path / "run")
    first._ended.set()
    expire(memory)
    second = owner(memory)
    uploader = Uploader(memory, second, run=snapshots(memory)[0][0].run)
    uploader.send(write_state(tmp_path / "run", 6))
    for step in (9, 12, 15):  # the first has noticed nothing yet, and cleans up, too
        late.send(write_state(tmp_path / "late", step))
    snapshot, warnings = fetch_newest(memory, tmp_path / "there")
    assert snapshot is not None and not warnings
    assert (snapshot.fence, snapshot.step) == (2, 6)
    assert contents(tmp_path / "there")["checkpoints/step-00000006/state.json"]
    uploader.send(write_state(tmp_path / "run", 9))
    uploader.send(write_state(tmp_path / "run", 12))
    assert {key[:18] for key in memory.keys(MANIFESTS)} == {"manifests/00000002"}
    assert {key[:16] for key in memory.keys(OBJECTS)} == {"objects/00000002"}
    first.lost_to = "another"
    with pytest.raises(FolderInUseError, match="C164"):
        late.send(write_state(tmp_path / "late", 18))
    second.release()


def test_a_kill_before_or_after_any_write_leaves_a_whole_state(tmp_path: Path) -> None:
    """At each moment around each operation the newest state is whole, and is one that was sent."""
    from tunesmith.remote.location import Location
    from tunesmith.remote.open_store import open_store

    class Killed(Exception):
        pass

    moment = 0
    while True:
        moment += 1
        store = open_store(Location.read(f"memory://tests/kill-{moment}"))
        here, count = tmp_path / f"here-{moment}", 0

        def hook(_when: str, name: str, _key: str) -> None:
            nonlocal count
            if name not in ("read", "download", "keys"):
                count += 1
                if count == moment:  # noqa: B023
                    raise KeyboardInterrupt  # passes everything that expects errors

        lease = owner(store)
        uploader = Uploader(Hooked(store, hook), lease, run=None)
        sent = []
        try:
            for step in (3, 6):
                uploader.send(write_state(here, step))
                sent.append(step)
        except KeyboardInterrupt:
            pass
        is_over = len(sent) == 2
        lease._ended.set()
        snapshot, warnings = fetch_newest(store, tmp_path / f"there-{moment}")
        assert not warnings
        step = snapshot.step if snapshot else 0
        assert step in ((sent or [0])[-1], (sent or [0])[-1] + 3)
        if snapshot is not None:
            there = contents(tmp_path / f"there-{moment}")
            log = "".join(f"step {s}\n" for s in range(3, step + 1, 3))
            assert there["events.jsonl"].decode() == log
        expire(store)
        again = owner(store)  # who takes over cleans up what the kill left
        uploader = Uploader(store, again, run=snapshot.run if snapshot else None)
        for step in (12, 15):
            uploader.send(write_state(tmp_path / f"there-{moment}", step))
        states, _warnings = snapshots(store)
        assert set(store.keys(OBJECTS)) == states[0].objects | states[1].objects
        again.release()
        if is_over:
            break
    assert moment > 20


@pytest.mark.parametrize("harm", ["cut", "flip", "delete"])
def test_a_damaged_object_makes_the_state_before_it_count(
    harm: str, memory: Store, tmp_path: Path
) -> None:
    lease = owner(memory)
    uploader = Uploader(memory, lease, run=None)
    first = uploader.send(write_state(tmp_path / "here", 3))
    second = uploader.send(write_state(tmp_path / "here", 6))
    lease.release()
    damage(memory, sorted(second.objects - first.objects)[0], harm)
    snapshot, warnings = fetch_newest(memory, tmp_path / "there")
    assert snapshot is not None and snapshot.step == 3
    assert [problem.code for problem in warnings] == ["C168"]
    assert (tmp_path / "there" / "events.jsonl").read_text() == "step 3\n"
    damage(memory, sorted(first.objects)[0], harm)
    with pytest.raises(IntegrityError, match=r"C168.*no state in the store is whole"):
        fetch_newest(memory, tmp_path / "elsewhere")


def damage(store: Store, key: str, harm: str) -> None:
    stored = store.read(key)
    assert stored is not None
    if harm == "delete":
        store.delete(key)
    elif harm == "cut":
        store.write(key, stored.content[:-1])
    else:
        store.write(key, bytes([stored.content[0] ^ 1]) + stored.content[1:])


def test_a_checkpoint_that_was_deleted_is_left_out(memory: Store, tmp_path: Path) -> None:
    state = write_state(tmp_path / "run", 3)
    atomic.discard(tmp_path / "run" / "checkpoints" / "step-00000003")
    lease = owner(memory)
    with pytest.raises(Superseded):
        Uploader(memory, lease, run=None).send(state)
    assert memory.keys(MANIFESTS) == []
    lease.release()


def test_a_checkpoint_that_is_damaged_here_is_not_sent(memory: Store, tmp_path: Path) -> None:
    state = write_state(tmp_path / "run", 3)
    (tmp_path / "run/checkpoints/step-00000003/state.json").write_text("other")
    lease = owner(memory)
    with pytest.raises(Superseded):
        Uploader(memory, lease, run=None).send(state)
    assert memory.keys(MANIFESTS) == []
    lease.release()


def test_a_manifest_whose_answer_was_lost_counts(memory: Store, tmp_path: Path) -> None:
    class Forgetful(Wrapped):
        def _create(self, key: str, content: bytes) -> str:
            super()._create(key, content)
            return super()._create(key, content)

    lease = owner(memory)
    uploader = Uploader(Forgetful(memory), lease, run=None)
    for step in (3, 6):
        uploader.send(write_state(tmp_path / "run", step))
    assert [state.step for state in snapshots(memory)[0]] == [6, 3]
    lease.release()


def test_hashes_are_of_the_content(memory: Store, tmp_path: Path) -> None:
    lease = owner(memory)
    Uploader(memory, lease, run=None).send(write_state(tmp_path / "run", 3))
    for key in memory.keys(OBJECTS):
        stored = memory.read(key)
        assert stored is not None
        assert hashlib.sha256(stored.content).hexdigest() == key.rpartition("/")[2]
    lease.release()
