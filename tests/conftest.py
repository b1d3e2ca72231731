"""Fixtures: a cache of its own, small models with random weights, rows, real data if at hand."""

from __future__ import annotations

import csv
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

# one thread per process, so that parallel test processes do not fight; set before torch is loaded
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
for name in [name for name in os.environ if name.startswith("TUNESMITH_")]:
    del os.environ[name]

gc.disable()  # what is imported stays; looking through it for garbage takes a third of the time

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from tunesmith.cli import load_command  # noqa: E402
from tunesmith.cli.commands import COMMANDS  # noqa: E402
from tunesmith.i18n import use_language  # noqa: E402

settings.register_profile("house", deadline=None)  # machines are shared; time is no law here
settings.load_profile("house")


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()


GLUE = Path(__file__).parents[2] / "shared" / "glue"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared data and embedded models of the tests stay with the tests."""
    os.environ["TUNESMITH_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    del os.environ["TUNESMITH_CACHE"]


@pytest.fixture(scope="session", autouse=True)
def _commands_in_english() -> None:
    """A command words its help when it is imported; in one process all are imported in English."""
    use_language("en")
    for name in COMMANDS:
        load_command(name)


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    use_language("en")
    yield
    use_language("en")  # fixtures of the next module may be made before this one


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Each test leaves torch with one thread; with more, others compute other last bits."""
    yield
    if "torch" in sys.modules:
        import torch

        count = torch.get_num_threads()
        torch.set_num_threads(1)
        assert count == 1, f"the test leaves torch with {count} threads"


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Two threads of torch."""
    import torch

    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def glue() -> Callable[[str], Path]:
    """The folder of a real GLUE set; the test is skipped where there is none."""

    def folder(name: str) -> Path:
        if not (GLUE / name).is_dir():
            pytest.skip(f"no real data: {GLUE / name} is not there")
        return GLUE / name

    return folder


WriteRows = Callable[..., Path]


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteRows:
    """Write rows as CSV; the first row is the header."""

    def write(rows: Sequence[Sequence[object]], name: str = "rows.csv") -> Path:
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        return path

    return write


@pytest.fixture
def write_jsonl(tmp_path: Path) -> WriteRows:
    """Write dicts as JSON lines."""

    def write(rows: Sequence[dict[str, object]], name: str = "rows.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def tickets(write_csv: WriteRows) -> Path:
    """Sixty short messages of two classes that words tell apart."""
    return write_csv(ticket_rows(60), "tickets.csv")


def ticket_rows(count: int) -> list[list[str]]:
    things = ["printer", "screen", "router", "cable", "phone"]
    rows = [["id", "body", "queue"]]
    for i in range(count):
        thing = things[i % 5]
        broken = i % 2 == 0
        text = f"the {thing} {i} is broken again" if broken else f"please send me a new {thing} {i}"
        rows.append([str(i), text, "repair" if broken else "order"])
    return rows


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights and a vocabulary of words and letters."""
    return make_tiny_bert(tmp_path_factory.mktemp("tiny") / "bert")


WORDS = (
    "the a is are was it of to in and please send me new broken again printer screen router cable "
    "phone good bad fine late cold soup rice table for two tonight thank you first second sentence "
    "this one not equal same other"
).split()


def make_tiny_bert(folder: Path, *, dropout: float = 0.1, layers: int = 2) -> Path:
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, BertTokenizerFast

    letters = list("abcdefghijklmnopqrstuvwxyz0123456789.,?!'\"-")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters]
    pieces += [f"##{letter}" for letter in letters]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    BertTokenizerFast(tokenizer_object=inner, model_max_length=64).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        BertModel(config).save_pretrained(folder)
    return folder
