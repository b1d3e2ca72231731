"""The smallest sensible model: by language, device, task, and what is at hand offline."""

from __future__ import annotations

import platform
import sys
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

from tunesmith.models import EMBEDDED, suggest, suggest_model
from tunesmith.models.suggest import has_accelerator
from tunesmith.storage import hub

ENGLISH = ["the printer is broken again", "send me a new phone"]
CHINESE = ["打印机又坏了", "你好"]
GERMAN = ["Der Drucker ist wieder kaputt und das Papier ist leer", "Bitte ein neues Telefon"]
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
DISTIL = "distilbert/distilbert-base-multilingual-cased"


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize(
    ("texts", "on_a_cpu", "on_a_gpu", "why"),
    [
        (CHINESE, "BAAI/bge-small-zh-v1.5", "bert-base-chinese", "100% of the letters are Chinese"),
        (ENGLISH, MINILM, "bert-base-uncased", "the letters are plain Latin"),
        (["x1", "42"], MINILM, "bert-base-uncased", "the letters are plain Latin"),
        (GERMAN, DISTIL, "bert-base-multilingual-cased", "the words are not English"),
        (
            ["hello 你好 and much more text in plain letters"],
            DISTIL,
            "bert-base-multilingual-cased",
            "6% of the letters are not plain Latin",
        ),
        (
            ["привет мир"],
            DISTIL,
            "bert-base-multilingual-cased",
            "100% of the letters are not plain Latin",
        ),
    ],
)
def test_a_model_for_the_language(texts: list[str], on_a_cpu: str, on_a_gpu: str, why: str) -> None:
    assert suggest_model(texts, device="cuda") == (on_a_gpu, why)
    name, reason = suggest_model(texts, device="cpu")
    assert name == on_a_cpu
    millions = suggest._MILLIONS[name]
    assert reason == f"{why}; {millions} million weights, few enough for a CPU"
    assert millions < suggest._MILLIONS[on_a_gpu]


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize(
    "text",
    [
        "le produit est arrivé cassé et ne marche pas, je suis déçu pour les enfants",
        "el producto llegó roto y no funciona, estoy harto de las promesas para una semana",
        "o produto chegou quebrado e não funciona, uma vergonha com atendimento",
        "het product is kapot en werkt niet, een schande van de winkel",
        "il prodotto che ho comprato non funziona, colpa della fabbrica di Milano",
        "barang ini rusak dan tidak bisa dipakai, penjual yang buruk",
    ],
)
def test_other_languages_in_latin_letters(text: str) -> None:
    assert suggest_model([text], device="cpu")[0] == DISTIL


@pytest.mark.usefixtures("online")
def test_a_few_foreign_words_do_not_make_english_foreign() -> None:
    texts = ["the film das Boot is great and the actors are good", "que sera sera is on the radio"]
    assert suggest_model(texts, device="cpu")[0] == MINILM


@pytest.mark.usefixtures("online")
def test_masked_words_need_a_head_for_them() -> None:
    options = {"device": "cpu", "model_class": "AutoModelForMaskedLM"}
    assert suggest_model(ENGLISH, **options)[0] == "distilbert/distilbert-base-uncased"
    assert suggest_model(CHINESE, **options) == (
        "bert-base-chinese",
        "100% of the letters are Chinese",
    )
    assert suggest_model(GERMAN, **options)[0] == DISTIL
    assert (
        suggest_model(ENGLISH, device="cuda", model_class="AutoModelForMaskedLM")[0]
        == "bert-base-uncased"
    )
    assert suggest_model(ENGLISH, device="cpu")[0] == MINILM


def test_offline_what_is_cached_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    name, why = suggest_model(ENGLISH, device="cpu")
    assert name == EMBEDDED
    assert why == (
        f"{MINILM} is not in the cache and HF_HUB_OFFLINE is set; "
        "this one is only for trying things out"
    )
    cached = {"bert-base-uncased"}
    monkeypatch.setattr(hub, "is_cached", lambda name: name in cached)
    assert suggest_model(ENGLISH, device="cpu") == (
        "bert-base-uncased",
        "the letters are plain Latin; offline, and this one is in the cache",
    )
    assert suggest_model(CHINESE, device="cpu")[0] == EMBEDDED
    cached.add("distilbert/distilbert-base-uncased")
    assert suggest_model(ENGLISH, device="cpu")[0] == "bert-base-uncased"
    cached.remove("bert-base-uncased")
    assert suggest_model(ENGLISH, device="cpu")[0] == "distilbert/distilbert-base-uncased"
    cached.add(MINILM)
    name, why = suggest_model(ENGLISH, device="cpu")
    assert (name, "few enough for a CPU" in why) == (MINILM, True)


def test_every_model_is_counted() -> None:
    every = {
        name
        for models in (suggest._ENGLISH, suggest._CHINESE, suggest._SEVERAL)
        for name in (models.small, models.base, models.masked)
    }
    assert every == set(suggest._MILLIONS)
    assert suggest._MILLIONS == {  # as their pages on the Hub say
        "sentence-transformers/all-MiniLM-L6-v2": 23,
        "distilbert/distilbert-base-uncased": 66,
        "bert-base-uncased": 110,
        "BAAI/bge-small-zh-v1.5": 24,
        "bert-base-chinese": 103,
        "distilbert/distilbert-base-multilingual-cased": 135,
        "bert-base-multilingual-cased": 178,
    }


@pytest.mark.parametrize(("device", "expected"), [("cpu", False), ("cuda", True), ("mps", True)])
def test_a_named_device_decides(device: str, expected: bool) -> None:
    assert has_accelerator(device) is expected


@pytest.mark.parametrize(
    ("system", "machine", "library", "visible", "driver", "expected"),
    [
        ("darwin", "arm64", None, None, False, True),
        ("darwin", "x86_64", "libtorch_cuda.so", None, True, False),
        ("linux", "x86_64", "libtorch_cuda.so", None, True, True),
        ("linux", "x86_64", "libtorch_hip.so", "0", True, True),
        ("linux", "x86_64", "libtorch_cuda.so", None, False, False),
        ("linux", "x86_64", "libtorch_cuda_linalg.so", None, True, False),
        ("linux", "x86_64", "libtorch_cuda.so", "", True, False),
        ("linux", "x86_64", "libtorch_cuda.so", "-1", True, False),
        ("linux", "x86_64", None, None, True, False),
        ("win32", "AMD64", "torch_cuda.dll", None, True, True),
        ("win32", "AMD64", "torch_cpu.dll", None, True, False),
    ],
)
def test_a_gpu_is_seen_without_torch(
    system: str,
    machine: str,
    library: str | None,
    visible: str | None,
    driver: bool,
    expected: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the platform, the libraries of torch and the drivers on the disk."""
    (tmp_path / "torch" / "lib").mkdir(parents=True)
    (tmp_path / "torch" / "lib" / "libtorch_python.so").touch()
    (tmp_path / "torch" / "__init__.py").touch()
    if library:
        (tmp_path / "torch" / "lib" / library).touch()
    if driver:
        (tmp_path / "driver").touch()
    spec = spec_from_file_location("torch", tmp_path / "torch" / "__init__.py")
    monkeypatch.setattr(suggest, "find_spec", lambda _name: spec)
    monkeypatch.setattr(suggest, "_DRIVERS", (str(tmp_path / "driver"),))
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert has_accelerator("auto") is expected
