"""What a hostile or damaged store can do to the folder that a state is fetched into: nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.remote.test_upload import contents, owner, write_state
from tunesmith.errors import IntegrityError
from tunesmith.remote.fetch import fetch_newest, snapshots
from tunesmith.remote.snapshot import Snapshot
from tunesmith.remote.store import Store
from tunesmith.remote.upload import Uploader
from tunesmith.storage import atomic


@pytest.fixture
def sent(memory: Store, tmp_path: Path) -> Snapshot:
    lease = owner(memory)
    snapshot = Uploader(memory, lease, run=None).send(write_state(tmp_path / "here", 3))
    lease.release()
    return snapshot


def test_an_empty_store_has_nothing(memory: Store, tmp_path: Path) -> None:
    assert fetch_newest(memory, tmp_path / "run") == (None, [])
    assert not (tmp_path / "run").exists()


def test_what_is_there_and_whole_stays(memory: Store, tmp_path: Path, sent: Snapshot) -> None:
    fetch_newest(memory, tmp_path / "run")
    path = tmp_path / "run/checkpoints/step-00000003/state.json"
    before = path.stat()
    fetch_newest(memory, tmp_path / "run")
    assert path.stat() == before


def test_what_is_there_and_damaged_is_set_aside(
    memory: Store, tmp_path: Path, sent: Snapshot
) -> None:
    fetch_newest(memory, tmp_path / "run")
    folder = tmp_path / "run/checkpoints/step-00000003"
    (folder / "state.json").write_text("damaged")
    fetch_newest(memory, tmp_path / "run")
    assert atomic.damage(folder) is None
    assert [path.name[:9] for path in folder.parent.glob(".bad*")] == [".bad-step"]


def test_a_name_that_leads_elsewhere_is_refused(
    memory: Store, tmp_path: Path, sent: Snapshot
) -> None:
    stored = memory.read(sent.key)
    assert stored is not None
    facts = json.loads(stored.content)
    facts["files"]["model/../../outside"] = facts["files"]["plan.json"]
    memory.write(sent.key, json.dumps(facts).encode())
    with pytest.raises(IntegrityError, match="C168"):
        fetch_newest(memory, tmp_path / "run")
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "run").exists()


def test_a_damaged_manifest_is_passed_over(memory: Store, tmp_path: Path, sent: Snapshot) -> None:
    memory.write("manifests/00000001-00000002.json", b"{}")
    snapshot, warnings = fetch_newest(memory, tmp_path / "run")
    assert snapshot == sent
    assert [problem.code for problem in warnings] == ["C168"]
    assert contents(tmp_path / "run") == contents(tmp_path / "here")


def test_states_of_an_older_run_do_not_count(memory: Store, tmp_path: Path, sent: Snapshot) -> None:
    lease = owner(memory)
    other = Uploader(memory, lease, run=None).send(write_state(tmp_path / "other", 6))
    lease.release()
    assert snapshots(memory)[0] == [other]
    key = max(other.objects - sent.objects)
    memory.delete(key)
    with pytest.raises(IntegrityError, match="C168"):
        fetch_newest(memory, tmp_path / "run")


def test_a_writer_that_goes_on_meanwhile_is_followed(
    memory: Store, tmp_path: Path, sent: Snapshot
) -> None:
    """The state that is being fetched is deleted, and a newer one is there."""
    from tests.remote.disloyal import Hooked

    lease = owner(memory)
    uploader = Uploader(memory, lease, run=sent.run)
    count = 0

    def hook(when: str, name: str, _key: str) -> None:
        nonlocal count
        if (when, name) == ("before", "download"):
            count += 1
            if count == 2:
                for step in (6, 9, 12):
                    uploader.send(write_state(tmp_path / "here", step))

    snapshot, warnings = fetch_newest(Hooked(memory, hook), tmp_path / "run")
    assert snapshot is not None and snapshot.step == 12
    assert not warnings
    lease.release()


def test_a_kill_while_it_is_fetched_leaves_nothing_that_counts(
    memory: Store, tmp_path: Path
) -> None:
    """The newest checkpoint comes last, so that without it the next start fetches again."""
    from tests.remote.disloyal import Hooked

    lease = owner(memory)
    uploader = Uploader(memory, lease, run=None)
    uploader.send(write_state(tmp_path / "here", 3))
    uploader.send(write_state(tmp_path / "here", 6, best=3))
    lease.release()
    expected = contents(tmp_path / "here")
    moment, is_over = 0, False
    while not is_over:
        moment += 1
        run, count = tmp_path / f"run-{moment}", 0

        def hook(_when: str, name: str, _key: str) -> None:
            nonlocal count
            count += name == "download"
            if count == moment:  # noqa: B023
                raise KeyboardInterrupt

        try:
            fetch_newest(Hooked(memory, hook), run)
            is_over = True
        except KeyboardInterrupt:
            assert not (run / "checkpoints" / "step-00000006").exists()
        fetch_newest(memory, run)
        assert contents(run) == expected
    assert moment > 12
