"""Hostile recipes: wrong types and numbers in every key, broken YAML, environment, `--set`.

Each ends with exit code 0, 2, 3 or 4 and a coded problem, never as a bug. What `check` accepts can
be trained with: it is written and read back as the same recipe, and its plan can be computed.
"""

from __future__ import annotations

import io
import math
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from itertools import islice
from pathlib import Path
from unittest import mock

from tests.faults import Case

ROWS = "text,label\n" + "".join(
    f"{['soup', 'rice', 'printer', 'screen'][i % 4]} number {i} is {['good', 'bad'][i % 2]},"
    f"{'ab'[i % 2]}\n"
    for i in range(24)
)
BASE = {
    "model": "embedded:mini",
    "data.train": "rows.csv",
    "data.validation": "25%",
    "train.max_steps": "2",
}
DIGITS = "9" * 5_000

VALUES = (
    "null", "true", "false", "0", "-1", "1", "2147483648", "9223372036854775807",
    "9223372036854775808", "18446744073709551616", "-9223372036854775809", DIGITS, f"-{DIGITS}",
    "9" * 400, ".nan", ".inf", "-.inf", "1e308", "-1e308", "5e-324", "1e-5", "0.5", "1e400",
    '""', '" "', "x", r'"\ud800"', r'"\0"', r'"\x1b[31m"', r'"\u202ex"', "é", "标签", "１", "'1'",
    "y" * 5_000, "3 epochs", "1 step", f"{DIGITS} steps", "9" * 400 + " epochs", "10%",
    f"0.{'0' * 330}1 epochs", "1e9 steps", "100%", "-5%", f"{DIGITS}%", "never", "[]", "[1]",
    "[null]", "[a, a]", "[[a]]", '["\\ud800"]', f"[{DIGITS}]", "[.nan]", "{}", "{a: 1}",
    "{a: {b: c}}", "{a: .nan}", f"{{a: {DIGITS}}}", '{"\\ud800": 1}', "{1: 2}", "2024-01-01",
    "2024-13-45", "2024-01-01T99:99:99Z", "1:30", "0x1F", "0o17", "0b1", "1_000", "~",
    "../rows.csv", "~/nothing.csv", "/dev/null", "/dev/zero", "C:\\x", "*", "&", "!!int 1", "&x 1",
    "*x", "@a", "`a`", "%a", "|", ">", "- a", "? a", "a: b", "#", "'", '"', "[", "{", "]", "a,b",
    ",", ";", "\\t",
)  # fmt: skip


def recipe(**changes: str) -> str:
    """A recipe as text; keys are written with two underscores for a dot, values as YAML."""
    values = BASE | {key.replace("__", "."): value for key, value in changes.items()}
    top = [f"{key}: {value}" for key, value in values.items() if "." not in key]
    for section in dict.fromkeys(key.partition(".")[0] for key in values if "." in key):
        if section in values:
            continue
        top.append(f"{section}:")
        lines = {
            key.partition(".")[2]: v for key, v in values.items() if key.startswith(f"{section}.")
        }
        top += [f"  {key}: {value}" for key, value in lines.items()]
    return "\n".join(top) + "\n"


def reported(
    arguments: Sequence[str], environment: dict[str, str] | None = None
) -> tuple[int, str]:
    """Run the command line in this process: the exit code, and all that it wrote."""
    from tunesmith.cli import main

    words = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    with (
        mock.patch.dict(os.environ, environment or {}),
        redirect_stdout(words),
        redirect_stderr(words),
    ):
        code = main(arguments)
    words.flush()
    assert isinstance(words.buffer, io.BytesIO)
    return code, words.buffer.getvalue().decode()


def judged(
    folder: Path, sets: Sequence[str] = (), environment: dict[str, str] | None = None
) -> str:
    """Check recipe.yaml; what is accepted must also make a plan. Returns "ok" or the codes."""
    (folder / "rows.csv").write_text(ROWS, encoding="utf-8")
    arguments = ["check", "recipe.yaml", "--json"]
    for written in sets:
        arguments += ["--set", written]
    code, output = reported(arguments, environment)
    assert "M000" not in output and "Traceback" not in output, output[-2_000:]
    assert code in (0, 2, 3, 4), (code, output[-2_000:])
    assert len(output) < 60_000, f"{len(output)} characters"
    if code:
        assert '"severity": "error"' in output, output[-2_000:]
        return "refused"
    _make_plan(folder, sets, environment)
    return "ok"


def _make_plan(folder: Path, sets: Sequence[str], environment: dict[str, str] | None) -> None:
    """What training does with the numbers of a recipe, before its first step."""
    from tunesmith.inputs import resolve_inputs, validate_inputs
    from tunesmith.recipe import gather, to_yaml
    from tunesmith.training.plan import make_plan

    layers = gather(file=folder / "recipe.yaml", sets=sets, environment=environment or {})
    checked = validate_inputs(resolve_inputs(layers))
    (folder / "written.yaml").write_text(to_yaml(checked.recipe), encoding="utf-8")
    again = gather(file=folder / "written.yaml", environment={}).recipe()
    assert again == checked.recipe, "the recipe that training writes is another one"
    plan = make_plan(checked.recipe.train, num_examples=checked.splits["train"].num_rows)
    steps = {0, 1, plan.warmup_steps, plan.total_steps - 1}
    for step in (step for step in steps if 0 <= step < plan.total_steps):
        assert math.isfinite(plan.learning_rate_at(step))
        assert 0 <= plan.dropout_seed(step, 0) < 2**64
        assert len(plan.micro_batches_at(step)[0][1]) >= 1
        plan.evaluation_due(step)
    for value in plan.as_json().values():
        assert not isinstance(value, float) or math.isfinite(value)


def swapped(key: str, number: int) -> Callable[[Path], str]:
    """Every third value in one key; which third, its number decides."""

    def run(folder: Path) -> str:
        seen = []
        for value in VALUES[number % 3 :: 3]:
            (folder / "recipe.yaml").write_text(recipe(**{key: value}), encoding="utf-8")
            seen.append(judged(folder))
        return f"{seen.count('ok')} accepted, {seen.count('refused')} refused"

    return run


def by_set(key: str, environment: bool) -> Callable[[Path], str]:
    """Some values of one key by `--set`, or by the environment."""

    def run(folder: Path) -> str:
        (folder / "recipe.yaml").write_text(recipe(), encoding="utf-8")
        seen = []
        for value in (*VALUES[1::9], "\udc80", "a\nb: 1", "x" * 100_000, "#5", "a #b"):
            if "\0" in value:
                continue
            if environment:
                name = f"TUNESMITH_{key.replace('.', '__').upper()}"
                seen.append(judged(folder, environment={name: value}))
            else:
                seen.append(judged(folder, sets=[f"{key}={value}"]))
        return f"{seen.count('ok')} accepted, {seen.count('refused')} refused"

    return run


def text_of(make: Callable[[], str | bytes]) -> Callable[[Path], str]:
    """One file as it is."""

    def run(folder: Path) -> str:
        made = make()
        content = made.encode("utf-8", "surrogatepass") if isinstance(made, str) else made
        (folder / "recipe.yaml").write_bytes(content)
        return judged(folder)

    return run


PIECES = (
    b"[", b"{", b"\t", b"- ", b": ", b"\n", b"'", b'"', b"\xff", b"&a ", b"*a", b"!x ", b"<<: ",
    b"\0", b"\xe2\x80\xa8", b"# ",
)  # fmt: skip


def damaged(seed: int) -> Callable[[Path], str]:
    """A whole recipe with some bytes changed, cut out or put in, forty times."""

    def run(folder: Path) -> str:
        from tunesmith.recipe import gather, to_yaml

        (folder / "recipe.yaml").write_text(recipe(), encoding="utf-8")
        whole = to_yaml(gather(file=folder / "recipe.yaml", environment={}).recipe()).encode()
        draw, seen = random.Random(seed), []
        for _time in range(40):
            content = bytearray(whole)
            for _change in range(draw.randint(1, 3)):
                at = draw.randrange(len(content))
                kind = draw.randrange(4)
                if kind == 0:
                    content[at] ^= 1 << draw.randrange(8)
                elif kind == 1:
                    del content[at : at + draw.randint(1, 200)]
                elif kind == 2:
                    content[at:at] = draw.choice(PIECES)
                else:
                    del content[at:]
                if not content:
                    break
            (folder / "recipe.yaml").write_bytes(bytes(content))
            seen.append(judged(folder))
        return f"{seen.count('ok')} accepted, {seen.count('refused')} refused"

    return run


def nested(opening: str, closing: str, depth: int) -> str:
    return "options: " + opening * depth + "1" + closing * depth + "\n" + recipe()


def several(what: str, count: int = 20_000) -> str:
    """A list of many; # in it is a number."""
    return "[" + ", ".join(what.replace("#", str(i)) for i in range(count)) + "]"


def lines(what: str, count: int = 20_000) -> str:
    """Many lines; # in them is a number."""
    return "".join(what.replace("#", str(i)) + "\n" for i in range(count))


FILES: dict[str, Callable[[], str | bytes]] = {
    "an empty file": lambda: b"",
    "only a byte-order mark": lambda: b"\xef\xbb\xbf",
    "a list": lambda: "- a\n- b\n",
    "one word": lambda: "tunesmith\n",
    "a number": lambda: "42\n",
    "UTF-16": lambda: recipe().encode("utf-16"),
    "GB18030": lambda: ("# 标签\n" + recipe()).encode("gb18030"),
    "zeros": lambda: b"\0" * 10_000,
    "random bytes": lambda: random.Random(1).randbytes(20_000),
    "Windows lines": lambda: recipe().replace("\n", "\r\n"),
    "lines of old Macs": lambda: recipe().replace("\n", "\r"),
    "a tab as indentation": lambda: recipe().replace("  train", "\ttrain"),
    "unusual line breaks": lambda: recipe(task="'a\u2028b'") + "# x\u0085y\n",
    "a form feed": lambda: recipe() + "\f\n",
    "two documents": lambda: recipe() + "---\n" + recipe(),
    "a directive": lambda: "%YAML 1.1\n---\n" + recipe(),
    "a tag directive": lambda: "%TAG ! tag:x:\n---\n" + recipe(),
    "an anchor": lambda: recipe(task="&a text-classification"),
    "an alias": lambda: recipe(task="*a"),
    "a tag": lambda: recipe(task="!!python/name:os.system x"),
    "a merge key": lambda: recipe() + "<<: {task: x}\n",
    "a merge key in a section": lambda: recipe(data__train="rows.csv\n  <<: {text: x}"),
    "a list as a key": lambda: recipe() + "[a, b]: 1\n",
    "a mapping as a key": lambda: recipe() + "{a: b}: 1\n",
    "an explicit key": lambda: recipe() + "? a\n: b\n",
    "an empty key": lambda: recipe() + ": 1\n",
    "a null key": lambda: recipe() + "~: 1\n",
    "a key of numbers": lambda: recipe() + f"{DIGITS}: 1\n",
    "a key of half a character": lambda: recipe() + '"\\ud800": 1\n',
    "the same key twice": lambda: recipe() + "model: x\n",
    "the same key 20,000 times": lambda: "a: 1\n" * 20_000,
    "20,000 unknown keys": lambda: recipe() + lines("k#: 1"),
    "20,000 unknown keys of a section": lambda: recipe() + lines("  batch_siz#: 1"),
    "20,000 options": lambda: recipe() + "options:\n" + lines("  k#: 1"),
    "20,000 labels": lambda: recipe(data__labels=several("c#")),
    "20,000 wrong labels": lambda: recipe(data__labels=several("{}")),
    "20,000 columns": lambda: recipe(data__label=several("c#")),
    "20,000 anchors": lambda: "a: &x 1\n" * 20_000,
    "20,000 tags": lambda: lines("k#: !t 1"),
    "100,000 brackets": lambda: "a: " + "[" * 100_000,
    "100,000 braces": lambda: "{a: " * 100_000,
    "100,000 dashes": lambda: "- " * 100_000,
    "100,000 question marks": lambda: "? " * 100_000,
    "lists 19 deep": lambda: nested("[", "]", 19),
    "lists 21 deep": lambda: nested("[", "]", 21),
    "mappings 19 deep": lambda: nested("{a: ", "}", 19),
    "mappings 21 deep": lambda: nested("{a: ", "}", 21),
    "a megabyte in one scalar": lambda: recipe(task="x" * 990_000),
    "200 kB in one scalar": lambda: recipe(task="x" * 200_000),
    "200 kB in one key": lambda: recipe() + "x" * 200_000 + ": 1\n",
    "200 kB in a literal": lambda: recipe() + "task: |\n" + "  xxxxx\n" * 25_000,
    "200 kB of spaces": lambda: recipe(train__early_stopping="'" + " " * 200_000 + "'"),
    "200 kB of digits": lambda: recipe(train__early_stopping="'" + "1" * 200_000 + "x'"),
    "200 kB of comments": lambda: recipe() + "# x\n" * 50_000,
    "10 MB": lambda: "# x\n" * 2_500_000,
    "a bomb of aliases": lambda: "a0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)
    ),
    "a data set of the recipe itself": lambda: recipe(data__train="recipe.yaml"),
    "a folder that is not there": lambda: recipe(data__train="no/such/rows.csv"),
    "labels spelled alike": lambda: recipe(data__labels="[a, A]", data__normalize_labels="true"),
    "weights that overflow": lambda: recipe(options__class_weights="[1e308, 1e308]"),
    "weights that vanish": lambda: recipe(options__class_weights="[5e-324, 1]"),
    "an endless focal loss": lambda: recipe(options__focal_gamma="1e308"),
    "nothing is masked": lambda: recipe(task="masked-lm", options__mask_share="5e-324"),
}  # fmt: skip

ARGUMENTS: dict[str, list[str]] = {
    "no value": ["train.epochs"],
    "no key": ["=1"],
    "dots": ["...=1"],
    "an unknown key": ["nothing=1"],
    "a key within a value": ["train.epochs.x=1"],
    "a value in place of a section": ["train=1"],
    "deep keys": [".".join("a" * 5_000) + "=1"],
    "a long key": ["x" * 100_000 + "=1"],
    "half a character": ["task=\udc80"],
    "half a character in a key": ["\udc80=1"],
    "a section that is a list": ["data=[]"],
    "an open bracket": ["data.labels=[a, b"],
    "an anchor": ["task=&a x"],
    "many": [f"k{i}=1" for i in range(2_000)],
}


def _folder_instead(folder: Path) -> str:
    (folder / "recipe.yaml").mkdir()
    return judged(folder)


def _endless(folder: Path) -> str:
    (folder / "recipe.yaml").symlink_to("/dev/zero")
    return judged(folder)


def _pipe(folder: Path) -> str:
    os.mkfifo(folder / "recipe.yaml")
    return judged(folder)


def keys() -> Iterator[str]:
    """Every key of the recipe that holds a value, and the sections."""
    from tunesmith.recipe.keys import known_keys

    yield from (".".join(path) for path in sorted(known_keys()))


def cases() -> Iterator[Case]:
    """All of them; the quick ones are single recipes."""
    for number, key in enumerate(keys()):
        quick = key in ("train.seed", "train.epochs")
        yield Case(f"values of {key}", swapped(key, number), is_quick=quick, seconds=120)
    for key in islice(keys(), 0, None, 4):
        yield Case(f"--set {key}", by_set(key, environment=False))
        yield Case(f"environment {key}", by_set(key, environment=True))
    for name, make in FILES.items():
        yield Case(f"a recipe: {name}", text_of(make), seconds=20)
    for name, sets in ARGUMENTS.items():
        yield Case(f"--set: {name}", lambda folder, sets=sets: _argument(folder, sets), seconds=20)
    for seed in range(20):
        yield Case(f"damage {seed}", damaged(seed), is_quick=seed == 0)
    yield Case("a folder in its place", _folder_instead)
    yield Case("a recipe without an end", _endless, seconds=20)
    yield Case("a pipe in its place", _pipe, seconds=20)


def _argument(folder: Path, sets: Sequence[str]) -> str:
    (folder / "recipe.yaml").write_text(recipe(), encoding="utf-8")
    return judged(folder, sets=sets)
