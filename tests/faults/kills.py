"""Kills at any moment, and inputs that change between a kill and the rerun.

Every command runs in a child that is forked from this process, which has the libraries loaded. A
rerun gives the weights, events and warnings of the undisturbed run, to the bit, or says
with a code why not.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from tests.faults import Case
from tests.faults.runs import home_of
from tests.faults.same_run import assert_same
from tunesmith.runs.folder import RunFolder
from tunesmith.storage import atomic

__all__ = ["cases"]

KILLED = 137
SETTINGS = (
    "train.epochs=2", "train.batch_size=8", "train.learning_rate=1e-3", "train.log_every=2",
    "train.save_every=3 steps", "train.evaluate_every=5 steps", "train.select_by=null",
    "train.engine=exact",    "data.validation=20%",
)  # fmt: skip
TRAIN = ("train", "tickets.csv", "--model", "./bert", "--out", "run")
STOP_AT = 0.5
"""Which part of the operations on the disk a stopped run has made: some checkpoints are there."""

Patch = Callable[[], None]


def command(*more: str) -> list[str]:
    """The one command of these cases, and what is added to it."""
    return [*TRAIN, *(word for key in SETTINGS for word in ("--set", key)), *more]


@dataclass(frozen=True)
class Said:
    """How a command ended, and all that it printed."""

    code: int
    text: str


def run(folder: Path, words: list[str], patch: Patch | None = None) -> Said:
    """Run a command in a child, in a folder, with something changed in that child alone."""
    output = folder / "output.txt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of threads that libraries started
        child = os.fork()
    if child == 0:
        _in_child(folder, output, words, patch)
    try:
        _pid, status = os.waitpid(child, 0)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    said = Said(os.waitstatus_to_exitcode(status), output.read_text(errors="replace"))
    assert "Traceback" not in said.text and "M000" not in said.text, said.text[-2000:]
    return said


def _in_child(folder: Path, output: Path, words: list[str], patch: Patch | None) -> None:
    code = 99
    try:
        os.chdir(folder)
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        sys.stdout = sys.stderr = os.fdopen(descriptor, "w", buffering=1, encoding="utf-8")
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        signal.setitimer(signal.ITIMER_REAL, 0)
        from tunesmith.cli import main

        if patch is not None:
            patch()
        code = main(words)
    finally:
        os._exit(code)


def die_at(operation: int, *, done: bool = False, count_in: Path | None = None) -> Patch:
    """Die at the n-th operation on the disk, before it or right after it; 0 only counts them."""

    def patch() -> None:
        seen = 0

        def counted(real: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object, **keywords: object) -> object:
                nonlocal seen
                seen += 1
                if seen == operation:
                    try:
                        if done:
                            real(*arguments, **keywords)
                    finally:
                        os._exit(KILLED)
                if count_in is not None:
                    count_in.write_text(str(seen))
                return real(*arguments, **keywords)

            return call

        for name in ("fsync", "rename", "replace", "unlink", "rmdir", "mkdir", "link"):
            setattr(os, name, counted(getattr(os, name)))

    return patch


# what every case compares with


@dataclass(frozen=True)
class World:
    """Data, model, a finished run and a stopped one, made once per process.

    Attributes:
        home: holds `tickets.csv`, `bert`, `run` (finished) and `stopped/run`.
        operations: how many the finished run made on the disk.
    """

    home: Path
    operations: int


@cache
def world() -> World:
    import sklearn.linear_model  # noqa: F401 - loaded here, so that no child has to
    import transformers.models.bert.modeling_bert  # noqa: F401

    home = home_of("kills", ticket_rows())
    said = run(home, command(), die_at(0, count_in=home / "count"))
    assert said.code == 0, said.text
    operations = int((home / "count").read_text())
    assert operations > 60
    stopped = home / "stopped"
    stopped.mkdir()
    _copy_inputs(home, stopped)
    said = run(stopped, command(), die_at(int(STOP_AT * operations)))
    assert said.code == KILLED, said.text
    steps = sorted((stopped / "run" / "checkpoints").glob("step-*"))
    assert len(steps) >= 2 and not (stopped / "run" / "model").exists()
    return World(home, operations)


def ticket_rows() -> list[list[str]]:
    """Forty-eight rows, some of them one text with two labels, so that there is a warning."""
    things = ["printer", "screen", "router", "cable", "phone"]
    rows = [["body", "queue"]]
    for i in range(44):
        text = f"the {things[i % 5]} is broken {i}" if i % 2 else f"send me a {things[i % 5]} {i}"
        rows.append([text, "repair" if i % 2 else "order"])
    return [*rows, *([f"broken {i // 2}", ("repair", "order")[i % 2]] for i in range(4))]


def _copy_inputs(source: Path, target: Path) -> None:
    shutil.copy(source / "tickets.csv", target)
    shutil.copytree(source / "bert", target / "bert")


def stopped_run(folder: Path) -> RunFolder:
    """A run in the folder that was killed after its second checkpoint or later."""
    shutil.copytree(world().home / "stopped", folder, dirs_exist_ok=True)
    return RunFolder(folder / "run")


def finished_run(folder: Path) -> RunFolder:
    """An undisturbed run in the folder."""
    _copy_inputs(world().home, folder)
    shutil.copytree(world().home / "run", folder / "run")
    return RunFolder(folder / "run")


def assert_undisturbed(folder: Path) -> str:
    """Run the command to its end, and compare all with the undisturbed run."""
    said = run(folder, command())
    assert said.code == 0, said.text[-2000:]
    return assert_same(RunFolder(folder / "run"), RunFolder(world().home / "run"))


# kills


def killed_at(part: float, done: bool, folder: Path) -> str:
    """At one operation on the disk, the rerun at another, then to the end."""
    _copy_inputs(world().home, folder)
    first = max(1, round(part * world().operations))
    said = run(folder, command(), die_at(first, done=done))
    assert said.code == KILLED, said.text[-2000:]
    again = run(folder, command(), die_at(max(1, first // 3), done=not done))
    assert again.code in (0, KILLED), again.text[-2000:]
    return f"operations {first} and {max(1, first // 3)}, {assert_undisturbed(folder)}"


def killed_by_signal(seed: int, folder: Path) -> str:
    """SIGKILL after some time, three times over."""
    _copy_inputs(world().home, folder)
    draw, kills = random.Random(seed), 0
    for _time in range(3):
        seconds = draw.uniform(0.05, 1.2)

        def later(seconds: float = seconds) -> None:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends a process at once
            signal.setitimer(signal.ITIMER_REAL, seconds)

        code = run(folder, command(), later).code
        assert code in (0, -signal.SIGALRM)
        kills += code != 0
    return f"{kills} kills, {assert_undisturbed(folder)}"


# changes between a kill and the rerun


def _replace(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def _lines(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("".join(f"{line}\n" for line in change(path.read_text().splitlines())))


def _flip_weight(folder: Path) -> None:
    path = folder / "bert" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


CHANGES: Mapping[str, tuple[Callable[[Path], None], int, str]] = {
    "a text": (lambda f: _replace(f / "tickets.csv", b"printer", b"plotter"), 6, "C104"),
    "a label": (lambda f: _replace(f / "tickets.csv", b",repair", b",order"), 6, "C104"),
    "the order": (
        lambda f: _lines(f / "tickets.csv", lambda x: [x[0], *x[:0:-1]]), 6, "C104",
    ),
    "a row less": (lambda f: _lines(f / "tickets.csv", lambda x: x[:-1]), 6, "C104"),
    "a row more": (lambda f: _lines(f / "tickets.csv", lambda x: [*x, "more,order"]), 6, "C104"),
    "a weight": (_flip_weight, 6, "C104"),
    "the vocabulary": (
        lambda f: _replace(f / "bert" / "tokenizer.json", b'"printer"', b'"plotter"'), 6, "C104",
    ),
    "the config": (
        lambda f: _replace(f / "bert" / "config.json", b"1e-12", b"1e-06"), 6, "C104",
    ),
}  # fmt: skip


def _cut_plan(run_folder: RunFolder) -> None:
    run_folder.plan.write_bytes(run_folder.plan.read_bytes()[:-40])


PLANS: Mapping[str, Callable[[RunFolder], None]] = {
    "a whole plan": lambda _run: None,
    "a cut plan": _cut_plan,
    "no plan": lambda run: run.plan.unlink(),
    "a plan of another run": lambda run: _replace(run.plan, b'"data": {', b'"date": {'),
}


def changed(change: str, plan: str, folder: Path) -> str:
    """The change is refused with its code; taken back, the run ends as if nothing had happened."""
    make, code, word = CHANGES[change]
    stopped = stopped_run(folder)
    PLANS[plan](stopped)
    make(folder)
    before = _files(stopped)
    said = run(folder, command())
    assert said.code == code and word in said.text, said.text[-2000:]
    after = _files(stopped)
    written = [name for name in before | after if before.get(name) != after.get(name)]
    assert written == [], written
    if plan == "a whole plan":
        return word
    shutil.rmtree(folder / "bert")
    _copy_inputs(world().home, folder)
    same = assert_undisturbed(folder)
    assert any(warning.startswith("C115 ") for warning in stopped.warnings())
    return f"{word}, then C115 and {same}"


def _files(run_folder: RunFolder) -> dict[str, bytes]:
    """All but the lock and what a kill left unfinished, which is swept before anything is read."""
    return {
        str(path.relative_to(run_folder.path)): path.read_bytes()
        for path in sorted(run_folder.path.rglob("*"))
        if path.is_file()
        and path.name not in (".lock", ".holder.json")
        and not any(map(atomic.is_leftover, path.relative_to(run_folder.path).parts))
    }


def changed_setting(key: str, folder: Path) -> str:
    """Another recipe in the folder of a run that has begun, also where its own was edited."""
    stopped = stopped_run(folder)
    said = run(folder, command("--set", key))
    assert said.code == 2 and "C108" in said.text
    name, value = key.split("=")
    name = name.split(".")[1]
    _lines(stopped.recipe, lambda x: [_set(line, name, value) for line in x])
    said = run(folder, command("--set", key))
    assert said.code == 6 and "C104" in said.text and name in said.text, said.text
    return "C108, C104"


def _set(line: str, name: str, value: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return f"{indent}{name}: {value}" if line.lstrip().startswith(f"{name}:") else line


def foreign_checkpoint(what: str, folder: Path) -> str:
    """A checkpoint with the same names and shapes that another run saved."""
    stopped = stopped_run(folder)
    other = folder / "other"
    other.mkdir()
    _copy_inputs(world().home, other)
    if what == "other data":
        CHANGES["a text"][0](other)
    elif what == "other weights":
        CHANGES["a weight"][0](other)
    more = ("--set", "train.seed=7") if what == "another seed" else ()
    assert run(other, command(*more)).code == 0
    newest = sorted((other / "run" / "checkpoints").glob("step-*"))[-1]
    mine = sorted(stopped.checkpoints.glob("step-*"))[-1]
    copied = stopped.checkpoints / newest.name
    assert copied.name > mine.name
    shutil.copytree(newest, copied)
    said = run(folder, command())
    assert said.code == 6 and "C109" in said.text and copied.name in said.text, said.text
    shutil.rmtree(copied)
    return f"C109, without it {assert_undisturbed(folder)}"


def renamed_checkpoint(folder: Path) -> str:
    """A checkpoint of the run under the name of a later step."""
    stopped = stopped_run(folder)
    mine = sorted(stopped.checkpoints.glob("step-*"))[-1]
    shutil.copytree(mine, stopped.checkpoints / "step-00000008")
    said = run(folder, command(), die_at(40))
    assert "C101" in said.text
    return f"C101, {assert_undisturbed(folder)}"


# data that is edited while its run trains


def edited_while_training(change: str, folder: Path) -> str:
    """Nothing is written of the end; with the old content back the run ends as if undisturbed."""
    _copy_inputs(world().home, folder)

    def patch() -> None:
        from tunesmith.runs import train

        real = train.finish

        def edit_first(*arguments: Any, **keywords: Any) -> Any:
            EDITS[change](folder)
            return real(*arguments, **keywords)

        train.finish = edit_first

    said = run(folder, command(), patch)
    assert said.code == 6 and "D160" in said.text, said.text[-2000:]
    assert not (folder / "run" / "predictions").exists() and not (folder / "run" / "model").exists()
    (folder / "tickets.csv").unlink(missing_ok=True)
    shutil.copy(world().home / "tickets.csv", folder)
    return f"D160, then {assert_undisturbed(folder)}"


EDITS: Mapping[str, Callable[[Path], None]] = {
    **{name: CHANGES[name][0] for name in ("a text", "a label", "the order", "a row less")},
    "a cut file": lambda f: _write(f, (f / "tickets.csv").read_bytes()[:700]),
    "no file": lambda f: (f / "tickets.csv").unlink(),
    "an empty file": lambda f: _write(f, b""),
    "a file of other columns": lambda f: _write(f, b"a,b\n1,2\n"),
    "bytes that are no text": lambda f: _write(f, b"body,queue\n" + b"\xff\xfe,repair\n" * 48),
}


def _write(folder: Path, content: bytes) -> None:
    (folder / "tickets.csv").write_bytes(content)


# starts that fail


def failed_start(how: str, folder: Path) -> str:
    """The corrected command trains; nothing in the folder refuses it."""
    _copy_inputs(world().home, folder)
    words = command()
    repair: Callable[[], object] = folder.exists
    if how == "a misspelled model":
        words[words.index("./bert")] = "./brt"
    elif how == "an unreachable model":
        words[words.index("./bert")] = "no-such-owner/no-such-model"
    elif how == "a misspelled setting":
        words += ["--set", "train.epoch=1"]
    elif how == "a tracker that is not there":
        words += ["--set", "trackers=tensorbord"]
    elif how == "another seed, killed before a step":
        words += ["--set", "train.seed=7"]
    elif how == "a bad row":
        _lines(folder / "tickets.csv", lambda x: [*x, "text without a label,"])
        repair = partial(_lines, folder / "tickets.csv", lambda x: x[:-1])
    elif how == "weights that are cut":
        path = folder / "bert" / "model.safetensors"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        repair = partial(_copy_weights, folder)
    patch = _die_before_a_step if how.endswith("before a step") else None
    said = run(folder, words, patch)
    assert said.code != 0
    assert not RunFolder(folder / "run").exists or patch is not None
    listed = run(folder, ["runs", "list", "--root", "."])
    assert listed.code == 0 and (patch is not None or "run " not in listed.text), listed.text
    repair()
    return f"exit {said.code}, then {assert_undisturbed(folder)}"


def _copy_weights(folder: Path) -> None:
    shutil.copy(world().home / "bert" / "model.safetensors", folder / "bert")


def _die_before_a_step() -> None:
    from tunesmith.runs import train

    def die(*_arguments: object) -> Iterator[object]:
        os._exit(KILLED)
        yield

    train._steps = die  # type: ignore[assignment]


# the end of a run


def killed_before_the_last_event(folder: Path) -> str:
    """The model is there, the event that says so is not."""
    finished = finished_run(folder)
    lines = finished.log.read_text().splitlines()
    assert json.loads(lines[-1])["event"] == "finished"
    finished.log.write_text("".join(f"{line}\n" for line in lines[:-1]))
    finished.report.unlink()
    return assert_undisturbed(folder)


def replaced_data_of_a_finished_run(folder: Path) -> str:
    finished_run(folder)
    CHANGES["a text"][0](folder)
    said = run(folder, command())
    assert said.code == 0 and "C104" in said.text, said.text
    return "note C104"


def _half_of_the_rows(run_folder: RunFolder) -> None:
    import pyarrow.parquet as pq

    path = run_folder.predictions / "validation.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(0, len(table) // 2), path)


def _of_another_model(run_folder: RunFolder) -> None:
    _half_of_the_rows(run_folder)
    aside = run_folder.predictions.rename(run_folder.path / "kept")
    with atomic.publish(run_folder.predictions) as folder:
        shutil.copy(aside / "validation.parquet", folder)


PREDICTIONS: Mapping[str, tuple[Callable[[RunFolder], None], str]] = {
    "half of the rows": (_half_of_the_rows, "C132"),
    "none": (lambda run: shutil.rmtree(run.predictions), "C132"),
    "no manifest": (lambda run: (run.predictions / atomic.MANIFEST).unlink(), "C132"),
    "those of another model": (_of_another_model, "C133"),
}


def changed_predictions(what: str, folder: Path) -> str:
    """Every command that reads them refuses them."""
    finished = finished_run(folder)
    make, word = PREDICTIONS[what]
    make(finished)
    whole = RunFolder(Path(shutil.copytree(world().home / "run", folder / "whole")))
    commands = [
        ["errors", "run", "--split", "validation"],
        ["calibrate", "run"],
        ["report", "run"],
        ["runs", "compare", "run", whole.name],
        ["runs", "compare", whole.name, "run"],
    ]
    for words in commands:
        said = run(folder, words)
        assert said.code == 6 and word in said.text, (words, said.text[-2000:])
    return word


def killed_ejection(part: float, folder: Path) -> str:
    """Each file is whole or absent, and the same command goes on."""
    finished_run(folder)
    words = ["eject", "run", "--style", "loop", "-o", "plain.py"]
    whole = folder / "whole"
    whole.mkdir()
    shutil.copytree(folder / "run", whole / "run")
    _copy_inputs(world().home, whole)
    assert run(whole, words, die_at(0, count_in=whole / "count")).code == 0
    operation = max(1, round(part * int((whole / "count").read_text())))
    code = run(folder, words, die_at(operation, done=part > 0.5)).code
    assert code == KILLED
    names = [path.name for path in whole.iterdir() if path.name.startswith("plain")]
    assert len(names) == 2
    for name in names:
        if (folder / name).exists():
            assert (folder / name).read_bytes() == (whole / name).read_bytes()
    again = run(folder, words)
    if (folder / "plain.py").exists() and again.code == 2:
        assert "R122" in again.text  # the kill came after its last file
    else:
        assert again.code == 0, again.text
    for name in names:
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    return f"operation {operation}"


def cases() -> Iterator[Case]:
    """All of them."""
    draw = random.Random(13)
    parts = sorted(draw.uniform(0.001, 0.9) for _case in range(24))
    for number, part in enumerate(parts):
        done = number % 2 == 1
        word = "after" if done else "before"
        is_quick = number == len(parts) // 2
        yield Case(f"killed {word} operation {part:.0%}", partial(killed_at, part, done), is_quick)
    for seed in range(2):
        yield Case(f"killed by a signal, moments {seed}", partial(killed_by_signal, seed))
    whole, *others = PLANS
    for number, change in enumerate(CHANGES):
        for plan in (whole, others[number % len(others)]):
            is_quick = change == "a weight" and plan == whole
            yield Case(f"changed {change}, {plan}", partial(changed, change, plan), is_quick)
    for key in ("train.learning_rate=0.002", "train.max_grad_norm=0.5", "train.weight_decay=0.3"):
        yield Case(f"changed {key}", partial(changed_setting, key))
    for what in ("another seed", "other data", "other weights"):
        yield Case(f"a checkpoint of {what}", partial(foreign_checkpoint, what))
    yield Case("a checkpoint under the name of a later step", renamed_checkpoint)
    for change in EDITS:
        yield Case(f"edited while it trains: {change}", partial(edited_while_training, change))
    for how in (
        "a misspelled model", "an unreachable model", "a misspelled setting",
        "a tracker that is not there", "another seed, killed before a step", "a bad row",
        "weights that are cut", "the same, killed before a step",
    ):  # fmt: skip
        yield Case(f"a first start fails: {how}", partial(failed_start, how))
    yield Case("killed before the last event", killed_before_the_last_event)
    yield Case("a finished run whose data was replaced", replaced_data_of_a_finished_run)
    for what in PREDICTIONS:
        is_quick = what == "half of the rows"
        yield Case(f"changed predictions: {what}", partial(changed_predictions, what), is_quick)
    for part in (0.02, 0.3, 0.5, 0.7, 0.98):
        yield Case(f"an ejection killed at {part:.0%}", partial(killed_ejection, part))
