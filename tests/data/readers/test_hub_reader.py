"""Hub data sets and Hub models through the whole command, against the stand-in on 127.0.0.1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value

from tests.hub_server import Hub, serve
from tunesmith.data.readers.hub_reader import HubSplit, open_saved, repository_and_config
from tunesmith.errors import DataError


@pytest.fixture
def server() -> Iterator[Hub]:
    with serve() as running:
        yield running


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(server: Hub, tmp_path: Path) -> Run:
    def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        environment |= {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), **variables}
        return subprocess.run(
            [sys.executable, "-m", "tunesmith", *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return command


def glue_like(folder: Path) -> Path:
    """A data set with a configuration and class names, as Parquet, as the Hub has GLUE."""
    features = Features(
        {
            "sentence1": Value("string"),
            "sentence2": Value("string"),
            "label": ClassLabel(names=["not_equivalent", "equivalent"]),
            "idx": Value("int32"),
        }
    )
    for split, count in (("train", 40), ("validation", 8), ("test", 6)):
        rows = [
            {
                "sentence1": f"the soup {i} is good",
                "sentence2": f"the rice {i} is {'good' if i % 2 else 'bad'}",
                "label": -1 if split == "test" else i % 2,
                "idx": i,
            }
            for i in range(count)
        ]
        target = folder / "mrpc" / f"{split}-00000-of-00001.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        Dataset.from_list(rows, features=features).to_parquet(str(target))
    listed = "".join(
        f"  - split: {split}\n    path: mrpc/{split}-*\n"
        for split in ("train", "validation", "test")
    )
    names = "not_equivalent", "equivalent"
    classes = "".join(f"          '{i}': {name}\n" for i, name in enumerate(names))
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: mrpc\n  data_files:\n" + listed
        + "dataset_info:\n- config_name: mrpc\n  features:\n"
        + "  - name: sentence1\n    dtype: string\n  - name: sentence2\n    dtype: string\n"
        + "  - name: label\n    dtype:\n      class_label:\n        names:\n" + classes
        + "  - name: idx\n    dtype: int32\n---\n"
    )  # fmt: skip
    return folder


def test_the_courses_own_command(server: Hub, run: Run, tiny_bert: Path, tmp_path: Path) -> None:
    """glue/mrpc and a Hub model: first download, pinned revisions, then the cache alone."""
    data = server.add("dataset", "nyu-mll/glue", glue_like(tmp_path / "on-the-hub"))
    model = server.add("model", "owner/bert", tiny_bert)
    arguments = ("train", "glue/mrpc", "--model", "owner/bert", "--set", "train.epochs=1",
                 "--test", "test")  # fmt: skip
    first = run(*arguments)
    assert first.returncode == 0, first.stderr
    assert "without Xet" in first.stderr
    assert "without labels: predicted, not scored" in first.stderr
    assert (tmp_path / "runs/glue-mrpc/predictions/test.parquet").is_file()
    assert "data.text_pair = sentence2" in first.stderr
    plan = json.loads((tmp_path / "runs/glue-mrpc/plan.json").read_text())
    assert plan["model"] == {"name": "owner/bert", "revision": model.commit}
    assert plan["data"]["train"]["revision"] == data.commit
    assert plan["data"]["train"]["source"] == "nyu-mll/glue/mrpc:train"
    assert plan["data"]["validation"]["rows"] == 8
    assert plan["task"]["labels"] == ["not_equivalent", "equivalent"]
    recipe = (tmp_path / "runs/glue-mrpc/recipe.yaml").read_text()
    assert "metrics: [f1, accuracy]" in recipe
    card = (tmp_path / "runs/glue-mrpc/model/README.md").read_text()
    assert "datasets:\n- nyu-mll/glue\n" in card  # the repository, without the configuration
    assert "nyu-mll/glue/mrpc:train" in card
    server.requests.clear()
    again = run(*arguments, "--out", "offline", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert server.requests == []
    offline = json.loads((tmp_path / "offline/plan.json").read_text())
    assert offline["model"] == plan["model"]
    assert offline["data"]["train"]["revision"] == data.commit


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nyu-mll/glu", ["error D105", "there is no such data set", "nyu-mll/glue"]),
        ("glue/mrcp", ["error D108", 'no configuration "mrcp"', "nyu-mll/glue/mrpc"]),
    ],
)
def test_names_that_do_not_exist(
    name: str, words: list[str], server: Hub, run: Run, tmp_path: Path
) -> None:
    server.add("dataset", "nyu-mll/glue", glue_like(tmp_path / "on-the-hub"))
    reported = run("data", "show", name)
    assert reported.returncode == 3, reported.stderr
    for word in words:
        assert word in reported.stderr


def test_a_private_data_set(server: Hub, run: Run, tmp_path: Path) -> None:
    server.add("dataset", "owner/secret", glue_like(tmp_path / "on-the-hub"), private=True)
    reported = run("data", "show", "owner/secret")
    assert reported.returncode == 4
    assert "M106" in reported.stderr
    shown = run("data", "show", "owner/secret", HF_TOKEN=server.token)
    assert shown.returncode == 0, shown.stderr
    assert server.token not in shown.stdout + shown.stderr


def test_a_busy_hub(server: Hub, run: Run, tmp_path: Path) -> None:
    server.add("dataset", "owner/data", glue_like(tmp_path / "on-the-hub"))
    server.failures = [503, 503]
    shown = run("data", "show", "owner/data", "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["splits"] == {"train": 40, "validation": 8, "test": 6}


@pytest.mark.parametrize(
    ("name", "config", "parsed"),
    [
        ("glue/mrpc", None, ("nyu-mll/glue", "mrpc")),
        ("glue", "sst2", ("nyu-mll/glue", "sst2")),
        ("super_glue/boolq", None, ("aps/super_glue", "boolq")),
        ("owner/name", None, ("owner/name", None)),
        ("owner/name/config", None, ("owner/name", "config")),
        ("owner/name", "config", ("owner/name", "config")),
        ("imdb", None, ("imdb", None)),
    ],
)
def test_how_names_are_read(name: str, config: str | None, parsed: tuple[str, str | None]) -> None:
    assert repository_and_config(name, config) == parsed


def test_a_saved_folder_that_is_not_whole(tmp_path: Path) -> None:
    Dataset.from_list([{"text": "a"}]).save_to_disk(str(tmp_path / "d"))
    (tmp_path / "d" / "state.json").write_text("{")
    with pytest.raises(DataError, match="D130"):
        open_saved(tmp_path / "d")


@pytest.mark.parametrize("state", ["{}", "[]", "5", '{"_data_files": 5}', '{"_data_files": [{}]}'])
def test_a_saved_folder_of_nonsense(tmp_path: Path, state: str) -> None:
    Dataset.from_dict({"a": [1, 2]}).save_to_disk(tmp_path / "d")
    (tmp_path / "d" / "state.json").write_text(state)
    with pytest.raises(DataError, match="D130"):
        open_saved(tmp_path / "d")


def test_class_names_come_with_the_column() -> None:
    features = Features(
        {
            "text": Value("string"),
            "label": ClassLabel(names=["no", "yes"]),
            "tags": Sequence(ClassLabel(names=["x", "y"])),
        }
    )
    made = Dataset.from_list([{"text": "a", "label": 1, "tags": [0]}], features=features)
    columns = {c.name: c for c in HubSplit.of(made, "d").columns}
    assert columns["label"].class_names == ("no", "yes")
    assert columns["label"].type == "ClassLabel"
    assert columns["tags"].class_names == ("x", "y")
    assert columns["tags"].type == "list"


def test_features_of_other_kinds_have_their_names() -> None:
    features = Features({"t": Value("string"), "l": [Value("int64")], "d": {"x": Value("int8")}})
    made = Dataset.from_list([{"t": "a", "l": [1], "d": {"x": 1}}], features=features)
    source = HubSplit.of(made, "d", revision="abc", repository="own/d")
    assert [(c.name, c.type, c.class_names) for c in source.columns] == [
        ("t", "text", None), ("l", "list", None), ("d", "dict", None),
    ]  # fmt: skip
    assert (source.revision, source.repository) == ("abc", "own/d")
