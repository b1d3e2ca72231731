"""What users do, in a child that acts as another system; a step that fails ends the child."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.platforms.windows import become_windows

__all__ = [
    "every_verb_on_windows",
    "leftovers",
    "train_and_die_on_windows",
    "train_to_delete_on_windows",
]

RUN = Path("runs/工单")
TRAIN = (
    "train", "工单.csv", "--model", "bert", "--epochs", "1", "--batch-size", "8",
    "--set", "train.save_every=2 steps", "--set", "train.log_every=1",
)  # fmt: skip


def is_refused(act: Callable[[], object], error: type[OSError]) -> bool:
    try:
        act()
    except error:
        return True
    return False


def call(*words: str, expected: int = 0, encoding: str = "cp936") -> str:
    """One command with a console of Chinese Windows; returns what it printed."""
    from tunesmith.cli import main

    streams = [io.TextIOWrapper(io.BytesIO(), encoding, newline="\r\n") for _ in range(2)]
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        code = main(list(words))
        for stream in streams:
            stream.flush()
    out, err = (stream.buffer.getvalue().decode(encoding) for stream in streams)  # type: ignore[attr-defined]
    assert code == expected, f"{' '.join(words)}: {code}\n{out}{err}"
    assert "Traceback" not in err and "M000" not in err, err
    return out + err


def leftovers(folder: Path) -> list[str]:
    """Hidden files and folders other than locks, which stay."""
    hidden = (path for path in folder.rglob(".*") if path.name != ".lock")
    return sorted(str(path.relative_to(folder)) for path in hidden)


def in_home(steps: Callable[[], None]) -> None:
    """Run steps as on Windows in the folder that holds the data; a failure is written down."""
    become_windows()
    try:
        steps()
    except BaseException as error:  # the parent reads why
        import traceback

        Path("failure.txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        os._exit(1)


def train_to_delete_on_windows(home: Path) -> None:
    """A run that is stopped, resumed, used, trained again and deleted, with its data in memory."""
    os.chdir(home)
    os.environ["TUNESMITH_CACHE"] = str(home / "cache")
    in_home(_train_to_delete)


def _refusals() -> None:
    """What the imitation refuses: without it the steps would show nothing."""
    Path("folder").mkdir()
    with Path("folder/open").open("wb") as file:
        file.write(b"x")
        file.flush()
        assert is_refused(lambda: Path("folder").rename("other"), PermissionError)
        assert is_refused(Path("folder/open").unlink, PermissionError)
        assert is_refused(lambda: Path("folder/open").replace("other"), PermissionError)
    Path("folder").rename("other")
    Path("second").mkdir()
    assert is_refused(lambda: Path("second").rename("other"), FileExistsError)
    for name in ("aux.txt", "a:b", "a.", "q?"):
        assert is_refused(Path(name).mkdir, OSError) and not Path(name).exists()
    assert is_refused(lambda: os.open(".", os.O_RDONLY), PermissionError)
    assert is_refused(lambda: Path("link").symlink_to("other"), OSError)
    from tunesmith.storage import lock

    assert not hasattr(lock.os, "fork") and lock.os.name == "nt"


def _train_to_delete() -> None:
    _refusals()
    from tunesmith.runs import recorder
    from tunesmith.storage import operating_system

    assert not operating_system.MOVES_OPEN_FILES
    save = recorder.Recorder.save

    def save_and_stop(self: recorder.Recorder) -> object:
        recorder.Recorder.save = save  # type: ignore[method-assign]
        saved = save(self)
        signal.raise_signal(signal.SIGINT)
        return saved

    recorder.Recorder.save = save_and_stop  # type: ignore[assignment, method-assign]
    assert "C112" in call(*TRAIN, expected=130)
    saved = sorted(path.name for path in (RUN / "checkpoints").iterdir())
    assert "step-00000002" in saved and "step-00000007" not in saved
    assert "tunesmith predict runs" in call(*TRAIN)
    events = [json.loads(line) for line in (RUN / "events.jsonl").read_bytes().splitlines()]
    assert [e["step"] for e in events if e["event"] == "step"] == [1, 2, 3, 4, 5, 6, 7]

    call("predict", "工单", "--file", "工单.csv", "--out", "answers.csv")
    call("predict", "工单", "--file", "工单.csv", "--out", "answers.csv", "--force")
    (answer,) = call("predict", "工单", "the café 打印机 🖨 is broken", "--json", "-q").splitlines()
    assert "the café 打印机 🖨 is broken" in str(json.loads(answer))
    call("calibrate", "工单")
    call("report", "工单")
    os.environ["TUNESMITH_CACHE_SIZE"] = "1 kB"  # sets that are mapped cannot go
    call(*TRAIN, "--seed", "2", "--restart")
    retained = [path for path in Path("runs").iterdir() if path.name.startswith("工单-before-")]
    assert len(retained) == 1 and RUN.is_dir()
    call("runs", "delete", "工单", "--yes")
    assert not RUN.exists() and leftovers(Path()) == []
    for path in (retained[0] / "events.jsonl", retained[0] / "model" / "tunesmith.json"):
        assert b"\r" not in path.read_bytes()


def train_and_die_on_windows(home: Path, rename: int) -> None:
    """Die as from the task manager, at the n-th rename."""
    os.chdir(home)
    os.environ["TUNESMITH_CACHE"] = str(home / "cache")

    def steps() -> None:
        real, count = os.rename, iter(range(1, 1000))

        def counted(path: str, target: str, **more: object) -> None:
            if next(count) == rename:
                os._exit(9)
            real(path, target, **more)  # type: ignore[arg-type]

        os.rename = counted  # type: ignore[assignment]
        call(*TRAIN)

    in_home(steps)


def every_verb_on_windows(home: Path) -> None:
    """The commands that the shorter tour leaves out."""
    os.chdir(home)
    os.environ["TUNESMITH_CACHE"] = str(home / "cache")
    in_home(_every_verb)


def _every_verb() -> None:
    call("check", "工单.csv")
    call("init", "工单.csv", "--lang", "zh")
    call(*TRAIN, "--dry-run")
    call(*TRAIN)
    for words in (
        ("runs", "list"), ("runs", "show", "工单"), ("runs", "explain", "工单"),
        ("doctor", "--offline"), ("train", "--help", "--lang", "zh"),
        ("errors", "工单", "--export", "corrections.csv"), ("eval", "工单", "工单.csv"),
        ("predict", "工单", "--file", "工单.csv", "--out", "answers.parquet"),
        ("predict", "工单", "--file", "工单.csv", "--out", "answers.jsonl.gz"),
        ("eject", "工单", "--out", "script.py"), ("eject", "工单", "--out", "script.ipynb"),
        ("inspect", "bert", "hello"), ("--lang", "zh", "--help"),
    ):  # fmt: skip
        call(*words)
    for encoding in ("ascii", "cp1252", "cp437"):
        call("runs", "list", "--lang", "zh", encoding=encoding)
    for name in ("nul", "a|b", "x?"):
        call("train", "工单.csv", "--out", f"runs/{name}", expected=4)
        assert not Path("runs", name).exists()
    assert leftovers(Path()) == []
