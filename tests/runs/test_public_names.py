from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.recipe import gather, to_yaml
from tunesmith.runs.public_names import public_name, with_public_names


def test_a_path_is_named_by_its_last_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "folder").mkdir(parents=True)
    secret = tmp_path / "secret"
    for name, expected in {
        f"{secret}/tickets.csv": "tickets.csv",  # whether it still exists or not
        f"{secret}/bert": "bert",
        f"{secret}/bert/": "bert",
        "~/somebody/rows.jsonl.gz": "rows.jsonl.gz",
        "../rows.parquet": "rows.parquet",
        "owner/folder": "folder",
        ".": tmp_path.name,
        "./": tmp_path.name,
        "glue/mrpc": "glue/mrpc",
        "bert-base-uncased": "bert-base-uncased",
        "google/electra-small-discriminator": "google/electra-small-discriminator",
        "embedded:mini": "embedded:mini",
    }.items():
        assert public_name(name) == expected, name
    monkeypatch.chdir(tmp_path / "owner")
    assert public_name("..") == tmp_path.name


def test_every_name_of_a_recipe(tmp_path: Path) -> None:
    home = tmp_path / "secret"
    recipe = gather(
        sets=[
            f"data.train=[{home}/a.csv, {home}/b.csv]",
            f"data.validation={home}/c.csv",
            "data.test=20%",
            f"data.corrections=[{home}/d.csv]",
            f"model={home}/bert",
            "train.seed=7",
        ],
        environment={},
    ).recipe()
    public = with_public_names(recipe)
    text = to_yaml(public)
    assert "secret" not in text and str(tmp_path) not in text
    assert public.data.train == ("a.csv", "b.csv")
    assert public.data.validation == "c.csv"
    assert public.data.test == recipe.data.test
    assert public.data.corrections == ("d.csv",)
    assert public.model == "bert"
    assert public.train == recipe.train
    assert recipe.model == f"{home}/bert"
    single = gather(sets=[f"data.train={home}/a.csv"], environment={}).recipe()
    assert with_public_names(single).data.train == "a.csv"
    assert with_public_names(single).model is None
