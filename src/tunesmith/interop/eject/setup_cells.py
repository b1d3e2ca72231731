"""What every style begins with: settings, tokens, chance, and the model with its new head."""

from __future__ import annotations

from tunesmith.i18n import gettext as _
from tunesmith.interop.eject.cells import Cell, assignment, block, literal, stacked
from tunesmith.interop.eject.data_cells import Reading
from tunesmith.interop.eject.run_facts import Facts
from tunesmith.models import stand_in_padding

__all__ = ["model_cell", "seeds_cell", "settings_cell", "tokens_cell"]

_PROBLEM_TYPES = {
    "text-classification": "single_label_classification",
    "multi-label-classification": "multi_label_classification",
    "text-regression": "regression",
}

_ENCODE = """\
def encode(rows):
    encoded = tokenizer(
        rows[TEXT], truncation=True, max_length=MAX_LENGTH, return_overflowing_tokens=True
    )
    del encoded["overflow_to_sample_mapping"]
    encoded["words"] = [
        [0 if word is None else word + 1 for word in encoded.word_ids(i)]
        for i in range(len(encoded["input_ids"]))
    ]
    return encoded
"""
_ENCODE_PAIR = """\
def word_numbers(words, texts):
    first = max((word + 1 for word, text in zip(words, texts) if text == 0), default=0)
    return [
        0 if word is None else word + 1 + (first if text else 0)
        for word, text in zip(words, texts)
    ]


def encode(rows):
    encoded = tokenizer(rows[TEXT], rows[TEXT_PAIR], truncation=True, max_length=MAX_LENGTH)
    encoded["words"] = [
        word_numbers(encoded.word_ids(i), encoded.sequence_ids(i))
        for i in range(len(encoded["input_ids"]))
    ]
    return encoded
"""
_WORDS_COLLATED = """\
data = raw.map(encode, batched=True, remove_columns=COLUMNS)
data = data.filter(lambda row: any(row["words"]))


def collate(rows):
    words = [row.pop("words") for row in rows]
    batch = tokenizer.pad(rows, return_tensors="pt")
    width = batch["input_ids"].shape[1]
    batch["words"] = torch.tensor([row + [0] * (width - len(row)) for row in words])
    return batch
"""
_SEEDS = """\
def mixed(z):
    z = (z + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def seed_of(*numbers):
    state = 0
    for number in numbers:
        state = mixed(state ^ mixed(number))
    return state
"""


def settings_cell(facts: Facts, reading: Reading, *, model: str, output: str) -> Cell:
    """The constants; what is a number of the recipe stands only here."""
    train, plan, task = facts.train, facts.plan, facts.task
    labels = list(getattr(task, "labels", ()))
    lines = [assignment("MODEL", model)]
    if facts.files.revision:
        lines.append(assignment("REVISION", facts.files.revision))
    lines += [
        assignment("OUTPUT", output, _("the folder of the finished model")),
        assignment("TEXT", reading.text),
    ]
    if reading.text_pair:
        lines.append(assignment("TEXT_PAIR", reading.text_pair))
    if reading.label:
        lines.append(assignment("LABEL", reading.label))
    if labels:
        lines.append(assignment("LABELS", labels))
    lines.append(assignment("MAX_LENGTH", facts.max_length, _("tokens; the rest is cut")))
    lines.append(assignment("SEED", train.seed, _("of the head, the order of rows and dropout")))
    epochs = plan.total_steps / plan.steps_per_epoch
    lines.append(
        assignment(
            "TOTAL_STEPS",
            plan.total_steps,
            _("{epochs:g} epochs of {steps} steps").format(
                epochs=epochs, steps=plan.steps_per_epoch
            ),
        )
    )
    lines.append(assignment("BATCH_SIZE", plan.batch_size, _("rows of a step")))
    if facts.micro_batch_size:
        lines.append(
            assignment("MICRO_BATCH_SIZE", facts.micro_batch_size, _("rows of a forward pass"))
        )
    lines.append(assignment("EVAL_BATCH_SIZE", train.eval_batch_size or 32))
    lines.append(assignment("LEARNING_RATE", train.learning_rate))
    lines.append(assignment("WARMUP_STEPS", plan.warmup_steps))
    if train.weight_decay:
        lines.append(assignment("WEIGHT_DECAY", train.weight_decay))
    if train.max_grad_norm:
        lines.append(assignment("MAX_GRAD_NORM", train.max_grad_norm))
    if facts.evaluates:
        lines.append(assignment("EVALUATE_EVERY", facts.evaluation_interval, _("steps")))
    if facts.chooser and facts.chooser.patience:
        lines.append(
            assignment("PATIENCE", facts.chooser.patience, _("evaluations without a better score"))
        )
    lines.append(assignment("LOG_EVERY", train.log_every, _("steps")))
    lines += _masking_settings(facts)
    return Cell(_("Settings"), block(*lines))


def _masking_settings(facts: Facts) -> list[str]:
    if not facts.hides_words:
        return []
    options = facts.recipe.options
    lines = [
        assignment("MLM_PROBABILITY", options["mlm_probability"], _("of the tokens are predicted"))
    ]
    if options["always_mask"]:
        lines.append(
            assignment("ALWAYS_MASK", options["always_mask"], _("words that are always hidden"))
        )
    return lines


def tokens_cell(facts: Facts, reading: Reading) -> Cell:
    """The tokenizer, the rows as numbers in `data`, and `collate`, which pads a batch."""
    revision = ", revision=REVISION" if facts.files.revision else ""
    load = block(
        f"tokenizer = AutoTokenizer.from_pretrained(MODEL{revision})",
        _lacks_padding(facts)
        and (
            "if tokenizer.pad_token is None:",
            "    tokenizer.pad_token = tokenizer.eos_token",
        ),
    )
    words = [_("A batch is padded to its longest row, not to the longest of all.")]
    if facts.hides_words:
        words.insert(
            0,
            _("Beside the ids stands which word of its text a token belongs to, 0 for none.")
            if reading.text_pair
            else _(
                "Long texts are cut into several, so that no word is lost. Beside the ids stands "
                "which word of its text a token belongs to, 0 for none."
            ),
        )
        encode = _ENCODE_PAIR if reading.text_pair else _ENCODE
        return Cell(_("Tokens"), stacked(load, encode, _WORDS_COLLATED), words)
    texts = "rows[TEXT], rows[TEXT_PAIR]" if reading.text_pair else "rows[TEXT]"
    assert reading.answers is not None  # noqa: S101 - only masked-lm learns without
    encode = block(
        "def encode(rows):",
        f"    encoded = tokenizer({texts}, truncation=True, max_length=MAX_LENGTH)",
        [f"    {line}" for line in reading.answers.assigned_to('encoded["labels"]', indent=1)],
        "    return encoded",
    )
    data = block(
        "data = raw.map(encode, batched=True, remove_columns=COLUMNS)",
        "collate = DataCollatorWithPadding(tokenizer)",
    )
    return Cell(_("Tokens"), stacked(load, encode, data), words)


def _lacks_padding(facts: Facts) -> bool:
    """Whether the model was made without a padding token, as decoders are."""
    return not isinstance(facts.files.config().get("pad_token_id"), int)


def seeds_cell(facts: Facts) -> Cell | None:
    """A function that mixes a seed for each step, where something is drawn."""
    if facts.hides_words or not facts.draws_dropout:
        return None
    words = [
        _(
            "Torch is seeded before each forward pass, so that the dropout of a step follows from "
            "its number alone. The seed is mixed by splitmix64, by which neighbouring numbers give "
            "unrelated ones."
        )
    ]
    return Cell(_("Seeds"), stacked(_SEEDS), words)


def model_cell(facts: Facts) -> Cell:
    """The pretrained model with its head, on the CPU and in float32."""
    config = facts.files.config()
    name = "AutoModelForMaskedLM" if facts.hides_words else "AutoModelForSequenceClassification"
    had_head = any("SequenceClassification" in str(a) for a in config.get("architectures") or ())
    arguments = ["MODEL"]
    if facts.files.revision:
        arguments.append("revision=REVISION")
    if not facts.hides_words:
        if getattr(facts.task, "labels", ()):
            arguments.append("id2label=dict(enumerate(LABELS))")
            arguments.append("label2id={label: i for i, label in enumerate(LABELS)}")
        else:
            arguments += ["id2label={0: LABEL}", "label2id={LABEL: 0}"]
        arguments.append(f'problem_type="{_PROBLEM_TYPES[facts.task.name]}"')
    if (padding := stand_in_padding(config)) is not None:
        arguments.append(f"pad_token_id={padding}")
    arguments += [f"{key}={literal(rate)}" for key, rate in facts.dropout_rates.items()]
    arguments.append("dtype=torch.float32")
    if had_head:
        arguments.append("ignore_mismatched_sizes=True")
    code = block(
        facts.is_deterministic
        and (
            'os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")',
            "torch.use_deterministic_algorithms(True)",
        ),
        "torch.manual_seed(SEED)",
        f"model = {name}.from_pretrained(",
        [f"    {argument}," for argument in arguments],
        ")",
        _freezing(facts),
        facts.train.gradient_checkpointing
        and 'model.gradient_checkpointing_enable({"use_reentrant": False})',
    )
    words = [_("The seed comes before the model, for its new head is drawn from it.")]
    return Cell(_("Model"), code, words)


def _freezing(facts: Facts) -> list[str]:
    """Weights that are left as they are."""
    lines = []
    for pattern in facts.train.freeze:
        if pattern == "base":
            lines += [
                "for parameter in model.base_model.parameters():",
                "    parameter.requires_grad = False",
            ]
            continue
        test = f"fnmatch.fnmatchcase(name, {literal(pattern)})"
        if pattern == "embeddings":
            test = 'any(part in name for part in ("embeddings", ".wte.", ".embed_tokens."))'
        lines += [
            "for name, parameter in model.named_parameters():",
            f"    if {test}:",
            "        parameter.requires_grad = False",
        ]
    return lines
