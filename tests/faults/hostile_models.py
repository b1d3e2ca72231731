"""Models whose files are damaged or made to harm: an answer as before, or an error with a code.

Each field of each file is replaced by values of other types, bits are flipped, files are cut or
replaced by pipes, links and bombs. Nothing may end as a bug, run code, hang, or take memory.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import random
import resource
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.conftest import make_tiny_bert
from tests.faults import Case

VALUES = {
    "null": "null", "-1": "-1", "0": "0", "a billion": "1000000000", "1e400": "1e400",
    "NaN": "NaN", "text": '"x"', "a list": "[]", "an object": "{}", "true": "true", "0.5": "0.5",
    "10^400": "1" + "0" * 400, "nested": "[" * 100_000 + "]" * 100_000,
    "a list of odd things": '[null, -1, "x", {}]', "an object of odd things": '{"0": null, "x": 1}',
}  # fmt: skip
SLOT = "@@@ here @@@"
CODES = {"M101", "M102", "M105", "M109", "M112", "M113", "M114", "M115", "M124", "M125", "M126",
         "M128", "M147"}  # fmt: skip
MOST_MEMORY = 1_500_000_000
LABELS = ("good", "bad")
FIELDS = {
    "config.json": """model_type architectures architectures.0 attention_probs_dropout_prob dtype
        classifier_dropout hidden_act hidden_dropout_prob hidden_size id2label id2label.0 label2id
        label2id.bad initializer_range intermediate_size is_decoder add_cross_attention
        layer_norm_eps max_position_embeddings num_attention_heads num_hidden_layers num_labels
        pad_token_id eos_token_id problem_type return_dict tie_word_embeddings type_vocab_size
        use_cache vocab_size tokenizer_class chunk_size_feed_forward output_attentions
        output_hidden_states torchscript pruned_heads position_embedding_type""",
    "tokenizer.json": """version truncation padding added_tokens added_tokens.0 added_tokens.0.id
        added_tokens.0.content added_tokens.0.special normalizer normalizer.type
        normalizer.lowercase pre_tokenizer pre_tokenizer.type post_processor post_processor.type
        post_processor.single post_processor.single.0 post_processor.special_tokens
        post_processor.special_tokens.[CLS].ids post_processor.special_tokens.[CLS].ids.0 decoder
        decoder.type model model.type model.unk_token model.continuing_subword_prefix
        model.max_input_chars_per_word model.vocab model.vocab.[UNK] model.vocab.the""",
    "tokenizer_config.json": """backend cls_token do_lower_case mask_token model_max_length
        pad_token sep_token unk_token strip_accents tokenizer_class is_local added_tokens_decoder
        extra_special_tokens model_input_names padding_side truncation_side chat_template
        auto_map clean_up_tokenization_spaces""",
    "special_tokens_map.json": "unk_token pad_token cls_token sep_token mask_token more",
    "generation_config.json": "max_length eos_token_id transformers_version",
    "tunesmith.json": """format task task.task task.roles task.roles.text task.roles.text_pair
        task.roles.label task.labels task.labels.0 task.positive_label task.class_names max_length
        metrics metrics.0 scores scores.test scores.test.accuracy intervals constant constant.0
        precision calibration calibration.kind calibration.temperature calibration.rule
        calibration.thresholds calibration.goal""",
}


@cache
def _whole() -> Path:
    """A finished model as `train` leaves it, with random weights: built once in a process."""
    from tests.models.folders import loaded
    from tunesmith.data.columns import Roles
    from tunesmith.models import load_tokenizer, locate
    from tunesmith.tasks.text_classification import TextClassification

    home = Path(tempfile.mkdtemp(prefix="hostile-models-"))
    base = make_tiny_bert(home / "base", layers=1)
    model: Any = loaded(base)
    model.config.id2label = dict(enumerate(LABELS))
    model.config.label2id = {name: i for i, name in enumerate(LABELS)}
    model.save_pretrained(home / "model")
    tokenizer = load_tokenizer(locate(str(base)))
    tokenizer.save_pretrained(home / "model")
    marks = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    (home / "model" / "special_tokens_map.json").write_text(json.dumps(marks))
    (home / "model" / "generation_config.json").write_text(json.dumps({"max_length": 20}))
    facts = {
        "format": 1,
        "task": TextClassification(Roles("text", None, "label"), LABELS).as_json(),
        "max_length": 64,
        "metrics": ["accuracy"],
        "scores": {"test": {"accuracy": 0.5}},
        "intervals": {"test": {"accuracy": [0.1, 0.9]}},
        "constant": [1.0, -1.0],
        "precision": "fp32",
        "calibration": {
            "kind": "classes", "temperature": 1.5, "rule": None, "thresholds": None, "goal": None,
        },
    }  # fmt: skip
    (home / "model" / "tunesmith.json").write_text(json.dumps(facts))
    return home / "model"


def _copy(folder: Path) -> Path:
    target = folder / "m"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(_whole(), target)
    return target


def _answer(target: Path) -> str:
    """The code of the error, or "answered"; raises where the promise is broken."""
    import tunesmith as ts
    from tunesmith.errors import TunesmithError

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        answer = ts.load(target, device="cpu").predict(["the soup is cold", "the"], calibrated=True)
    except TunesmithError as error:
        codes = {problem.code for problem in error.problems}
        assert codes <= CODES | {"M152", "R110", "D330"}, error
        seen = min(codes)
    else:
        assert all(math.isfinite(row["score"]) and row["label"] for row in answer), answer
        seen = "answered"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MOST_MEMORY, f"{grown / 1e6:.0f} MB"
    return seen


def _put(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _put(value[path[0]] if path[1:] else None, path[1:], new)
    return copy


def _swapped(file: str, path: tuple[str | int, ...]) -> Callable[[Path], str]:
    def run(folder: Path) -> str:
        target = _copy(folder)
        whole = json.loads((target / file).read_text())
        template = json.dumps(_put(whole, path, SLOT))
        seen = []
        for raw in VALUES.values():
            (target / file).write_text(template.replace(json.dumps(SLOT), raw))
            seen.append(_answer(target))
        return ", ".join(sorted(set(seen)))

    return run


def _damaged(file: str, seed: int, *, is_cut: bool) -> Callable[[Path], str]:
    """Twelve flipped bits, or cuts, one after the other; of weights in the header as often."""

    def run(folder: Path) -> str:
        target = _copy(folder)
        chance = random.Random(f"{file} {seed} {is_cut}")
        whole = (target / file).read_bytes()
        most = len(whole)
        if file.endswith("safetensors") and seed % 2:
            most = 8 + int.from_bytes(whole[:8], "little")
        seen = []
        for _time in range(12):
            content = bytearray(whole)
            at = chance.randrange(most)
            if is_cut:
                del content[at:]
            else:
                content[at] ^= 1 << chance.randrange(8)
            (target / file).write_bytes(content)
            seen.append(_answer(target))
        return ", ".join(sorted(set(seen)))

    return run


def _is(*expected: str) -> Callable[[Callable[[Path], None]], Callable[[Path], str]]:
    """A case that changes a whole model, with the codes, or answers, that are right."""

    def wrap(harm: Callable[[Path], None]) -> Callable[[Path], str]:
        def run(folder: Path) -> str:
            target = _copy(folder)
            harm(target)
            seen = _answer(target)
            assert seen in expected, seen
            assert not (folder / "canary").exists(), "code ran"
            return seen

        return run

    return wrap


def _edit(file: str, **fields: object) -> Callable[[Path], None]:
    def harm(target: Path) -> None:
        value = json.loads((target / file).read_text())
        (target / file).write_text(json.dumps({**value, **fields}))

    return harm


def _replace(file: str, how: str) -> Callable[[Path], None]:
    def harm(target: Path) -> None:
        path = target / file
        path.unlink()
        if how == "a pipe":
            os.mkfifo(path)
        elif how == "a folder":
            path.mkdir()
        elif how == "a link to nothing":
            path.symlink_to("nothing")
        elif how == "a link to itself":
            path.symlink_to(path.name)
        elif how == "a device":
            path.symlink_to("/dev/zero")
        elif how == "empty":
            path.write_bytes(b"")
        elif how == "far too large":
            with path.open("wb") as sparse:
                sparse.truncate(20_000_000_000)

    return harm


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.write_text, (self.path, "ran")


def _pickles(target: Path) -> None:
    evil = pickle.dumps(_Canary(target.parent / "canary"))
    for name in (
        "pytorch_model.bin", "training_args.bin", "optimizer.pt", ".metadata", "adapter_model.bin",
        "__0_0.distcp", "tf_model.h5", "notes.txt",
    ):  # fmt: skip
        (target / name).write_bytes(evil)


def _index(name: object) -> Callable[[Path], None]:
    def harm(target: Path) -> None:
        _pickles(target)
        shutil.copy(target / "pytorch_model.bin", target.parent / "outside.bin")
        (target / "model.safetensors").rename(target / "a.safetensors")
        index = {"weight_map": {"classifier.bias": name, "classifier.weight": "a.safetensors"}}
        (target / "model.safetensors.index.json").write_text(json.dumps(index))

    return harm


def _code(target: Path) -> None:
    for name in ("evil.py", "configuration_evil.py", "modeling_evil.py", "custom_generate.py"):
        (target / name).write_text(f"open({str(target.parent / 'canary')!r}, 'w').write('ran')")
    evil = {"AutoConfig": "evil.C", "AutoTokenizer": ["evil.T", "evil.T"], "AutoModel": "evil.M",
            "AutoModelForSequenceClassification": "evil.M"}  # fmt: skip
    _edit("config.json", auto_map=evil, trust_remote_code=True, custom_generate="evil")(target)
    _edit("tokenizer_config.json", auto_map=evil, trust_remote_code=True)(target)


def _header(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def harm(target: Path) -> None:
        path = target / "model.safetensors"
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])

    return harm


def _tensor(**fields: object) -> Callable[[dict[str, Any]], object]:
    return lambda header: header["classifier.weight"].update(fields)


def _without(name: str) -> Callable[[Path], None]:
    from safetensors.torch import load_file, save_file

    def harm(target: Path) -> None:
        path = target / "model.safetensors"
        tensors = {key: value for key, value in load_file(path).items() if key != name}
        save_file(tensors, path)

    return harm


def _steps(count: int) -> Callable[[Path], None]:
    """A tokenizer whose normalizer has so many steps, each of them slow."""

    def harm(target: Path) -> None:
        step = {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "b"}
        _edit("tokenizer.json", normalizer={"type": "Sequence", "normalizers": [step] * count})(
            target
        )

    return harm


KERNELS = {
    "attn_implementation": "evil/kernel", "_attn_implementation": "evil/kernel",
    "_attn_implementation_internal": "evil/kernel", "experts_implementation": "evil/kernel",
    "use_kernels": True, "kernel_config": {"RMSNorm": "evil/kernel"}, "fusion_config": {"x": True},
    "quantization_config": {"quant_method": "evil"}, "transformers_weights": "pytorch_model.bin",
    "device_map": "auto", "tp_plan": "auto", "custom_pipelines": {"x": {"impl": "evil.P"}},
    "per_layer_config": {"0": {"hidden_size": 1}}, "distributed_config": {"tp_size": 2},
}  # fmt: skip


def _named() -> Iterator[tuple[str, Callable[[Path], str]]]:
    for name, value in KERNELS.items():
        yield f"config.json asks for {name}", _is("answered")(_edit("config.json", **{name: value}))
    for name in ("flash_attention_2", "flash_attention_3", "flex_attention", "sdpa", "nonsense"):
        yield (
            f"config.json wants {name}",
            _is("answered")(_edit("config.json", attn_implementation=name)),
        )
    yield "every file is Python", _is("answered")(_code)
    yield "pickles in every slot", _is("answered")(_pickles)
    for name in ("pytorch_model.bin", "notes.txt", "../outside.bin", "/x.safetensors", None, 5):
        yield f"the index names {name}", _is("M101")(_index(name))
    for file, codes in {
        "config.json": ("M109",),
        "model.safetensors": ("M115", "M101"),
        "tokenizer.json": ("M113",),
        "tunesmith.json": ("M109", "answered"),
    }.items():
        for how in (
            "a pipe", "a folder", "a link to nothing", "a link to itself", "a device", "empty",
            "far too large", "missing",
        ):  # fmt: skip
            more = ("M152",) if file == "tunesmith.json" else ("M113", "M109")
            yield f"{file} is {how}", _is(*codes, *more)(_replace(file, how))
    sizes = {
        "vocab_size": 10**9, "hidden_size": 10**6, "num_hidden_layers": 10**7,
        "num_attention_heads": 10**9, "intermediate_size": 2**31 - 1,
        "max_position_embeddings": 2**31 - 1, "type_vocab_size": 2**31 - 1,
    }  # fmt: skip
    for name, size in sizes.items():
        yield (
            f"config.json claims {name} of {size}",
            _is("M102", "M124", "M128")(_edit("config.json", **{name: size})),
        )
    yield (
        "config.json claims a billion labels",
        _is("answered", "M102")(_edit("config.json", id2label=None, num_labels=10**9)),
    )
    yield (
        "an adapter beside the model",
        _is("M112")(lambda target: (target / "adapter_config.json").write_text("{}") and None),
    )
    for name in ("bert.encoder.layer.0.output.dense.weight", "bert.pooler.dense.bias"):
        yield f"{name} is missing", _is("M124")(_without(name))
    yield "the head is half missing", _is("M124")(_without("classifier.bias"))
    headers: dict[str, Callable[[dict[str, Any]], object]] = {
        "an overlap": _tensor(data_offsets=[0, 256]),
        "a gap": lambda header: header.pop("classifier.bias"),
        "another type": _tensor(dtype="F64"),
        "a type that is none": _tensor(dtype="EVIL"),
        "a shape of 2^60": _tensor(shape=[1 << 60]),
        "a negative shape": _tensor(shape=[-2, -32]),
        "a shape of text": _tensor(shape="x"),
        "offsets beyond the end": _tensor(data_offsets=[1 << 40, (1 << 40) + 256]),
        "offsets of floats": _tensor(data_offsets=[0.0, 256.0]),
        "no shape": lambda header: header["classifier.weight"].pop("shape"),
        "a tensor that is a list": lambda header: header.update({"classifier.weight": []}),
    }
    for name, change in headers.items():
        yield f"the header of the weights has {name}", _is("M115")(_header(change))
    yield (
        "the header of the weights claims 2^62 bytes",
        _is("M115")(
            lambda target: (
                (target / "model.safetensors").write_bytes(b"\xff" * 7 + b"\x3f{}") and None
            )
        ),
    )
    for count in (100, 100_000):
        yield f"a normalizer of {count} slow steps", _is("answered", "M113")(_steps(count))
    many = {f"[{i}]": 1000 + i for i in range(200_000)}
    yield (
        "200,000 added tokens",
        _is("answered", "M113", "M147")(
            lambda target: (target / "added_tokens.json").write_text(json.dumps(many)) and None
        ),
    )


COMMANDS: dict[str, Callable[[Path], None]] = {
    "config.json of nonsense": _edit("config.json", hidden_act=5, layer_norm_eps="x"),
    "a tokenizer of nonsense": _edit("tokenizer.json", model=5),
    "a config.json that is a pipe": _replace("config.json", "a pipe"),
    "a tokenizer_config.json of nonsense": _edit("tokenizer_config.json", model_max_length="x"),
    "a missing tensor": _without("bert.embeddings.LayerNorm.bias"),
    "a tunesmith.json of nonsense": _edit("tunesmith.json", task=None),
}


def _command(harm: Callable[[Path], None], verb: str) -> Callable[[Path], str]:
    def run(folder: Path) -> str:
        import contextlib
        import io

        from tunesmith.cli import main

        target = _copy(folder)
        harm(target)
        data = folder / "rows.csv"
        rows = "".join(f"the soup {i} is cold,good\nthe rice {i} is fine,bad\n" for i in range(20))
        data.write_text("text,label\n" + rows)
        words = {
            "train": ["train", str(data), "--out", str(folder / "run"), "--model", str(target),
                      "--set", "train.max_steps=1", "--set", "train.preflight=false"],
            "predict": ["predict", str(target), "the soup"],
            "check": ["check", str(data), "--model", str(target)],
            "inspect": ["inspect", str(target), "the soup"],
        }[verb]  # fmt: skip
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(words)
        assert "M000" not in said.getvalue() and code in (0, 2), (code, said.getvalue())
        return f"exit {code}"

    return run


def cases() -> list[Case]:
    quick = {"config.json asks for attn_implementation", "the index names pytorch_model.bin",
             "config.json is a pipe", "the header of the weights has an overlap",
             "pickles in every slot"}  # fmt: skip
    all_cases = [Case(name, run, is_quick=name in quick, seconds=30) for name, run in _named()]
    for file, fields in FIELDS.items():
        for field in fields.split():
            path = tuple(int(part) if part == "0" and not field.startswith("id2label") else part
                         for part in field.split("."))  # fmt: skip
            all_cases.append(Case(f"{file}: {field} is of other types", _swapped(file, path)))
    for file in ("config.json", "tokenizer.json", "tunesmith.json", "model.safetensors"):
        for seed in range(4):
            all_cases.append(
                Case(f"{file}: flipped bits {seed}", _damaged(file, seed, is_cut=False))
            )
            all_cases.append(Case(f"{file}: cuts {seed}", _damaged(file, seed, is_cut=True)))
    for name, harm in COMMANDS.items():
        for verb in ("train", "predict", "check", "inspect"):
            all_cases.append(Case(f"{verb} with {name}", _command(harm, verb)))
    return all_cases
