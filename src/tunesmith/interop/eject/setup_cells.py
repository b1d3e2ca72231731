"""What all styles share: settings, tokens, seeds, the model with its new head, and metrics."""

from __future__ import annotations

from tunesmith.i18n import gettext as _
from tunesmith.interop.eject.cells import Cell, assignment, block, literal, stacked
from tunesmith.interop.eject.data_cells import RowsCell
from tunesmith.interop.eject.source_run import SourceRun
from tunesmith.interop.eject.target_cells import target_assignment
from tunesmith.models import default_padding
from tunesmith.tasks.script_parts import ScriptCode

__all__ = ["model_cell", "scores_cell", "seeds_cell", "settings_cell", "tokens_cell"]

_SEEDS = """\
def splitmix64(z):
    z = (z + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def seed_of(*numbers):
    state = 0
    for number in numbers:
        state = splitmix64(state ^ splitmix64(number))
    return state
"""


def settings_cell(run: SourceRun, rows: RowsCell, *, model: str, output: str) -> Cell:
    """The constants: every number of the recipe appears only here."""
    train, plan = run.train, run.plan
    epochs = _("{epochs:g} epochs of {steps} steps").format(
        epochs=plan.total_steps / plan.steps_per_epoch, steps=plan.steps_per_epoch
    )
    are_cut = run.task.cuts_long_texts
    lengths = _("tokens; longer texts are cut") if are_cut else _("tokens of a sequence")
    settings: list[tuple[str, object, str]] = [
        ("MODEL", model, ""),
        ("REVISION", run.files.revision, ""),
        ("OUTPUT", output, _("the folder of the trained model")),
        ("TEXT", rows.text, ""),
        ("TEXT_PAIR", rows.text_pair, ""),
        ("LABEL", rows.label, ""),
        *run.parts.constants,
        ("MAX_LENGTH", run.max_length, lengths),
        ("SEED", train.seed, _("of the head, the order of rows and dropout")),
        ("TOTAL_STEPS", plan.total_steps, epochs),
        ("BATCH_SIZE", plan.batch_size, _("rows per step")),
        ("MICRO_BATCH_SIZE", run.micro_batch_size, _("rows per forward pass")),
        ("EVAL_BATCH_SIZE", train.eval_batch_size or 32, ""),
        ("LEARNING_RATE", train.learning_rate, ""),
        ("WARMUP_STEPS", plan.warmup_steps, ""),
        ("WEIGHT_DECAY", train.weight_decay or None, ""),
        ("MAX_GRAD_NORM", train.max_grad_norm or None, ""),
        ("EVALUATE_EVERY", run.evaluation_interval if run.evaluates else None, _("steps")),
        (
            "PATIENCE",
            run.selection and run.selection.patience,
            _("evaluations without improvement"),
        ),
        ("LOG_EVERY", train.log_every, _("steps")),
    ]
    lines = [assignment(*setting) for setting in settings if setting[1] is not None]
    return Cell(_("Settings"), block(*lines))


def tokens_cell(run: SourceRun, rows: RowsCell) -> Cell:
    """The tokenizer, the token ids of all rows in `data`, and `collate`, which pads a batch."""
    revision = ", revision=REVISION" if run.files.revision else ""
    load = block(
        f"tokenizer = AutoTokenizer.from_pretrained(MODEL{revision})",
        _lacks_padding(run)
        and (
            "if tokenizer.pad_token is None:",
            "    tokenizer.pad_token = tokenizer.eos_token",
        ),
    )
    padding = _("A batch is padded to its longest text, not to the longest of all.")
    parts = run.parts
    if own := parts.encode:
        return Cell(_("Tokens"), stacked(load, own.code), [*own.notes, padding])
    own_code = [one for one in (parts.before_tokens, parts.tokenize, parts.collate) if one]
    notes = [note for one in own_code for note in one.notes]
    texts = "rows[TEXT], rows[TEXT_PAIR]" if rows.text_pair else "rows[TEXT]"
    assert rows.targets is not None  # noqa: S101 - a task without them brings its own encoding
    encoded = f"tokenizer({texts}, truncation=True, max_length=MAX_LENGTH)"
    encode = block(
        "def encode(rows):",
        f"    encoded = {'tokenize(rows)' if parts.tokenize else encoded}",
        [f"    {line}" for line in target_assignment(rows.targets, 'encoded["labels"]', indent=1)],
        "    return encoded",
    )
    data = block(
        "data = raw.map(encode, batched=True, remove_columns=COLUMNS)",
        not parts.collate and "collate = DataCollatorWithPadding(tokenizer)",
    )
    code = stacked(
        block(load, _code(parts.before_tokens)),
        _code(parts.tokenize),
        encode,
        data,
        _code(parts.collate),
    )
    return Cell(_("Tokens"), code, [*notes, padding])


def _code(own: ScriptCode | None) -> str | None:
    return own.code.rstrip() if own else None


def _lacks_padding(run: SourceRun) -> bool:
    """Whether the model has no padding token, as most decoders."""
    return not isinstance(run.files.config().get("pad_token_id"), int)


def seeds_cell(run: SourceRun) -> Cell | None:
    """`seed_of`, or the task's own cell with it; None if nothing is drawn."""
    if own := run.parts.corrupt:
        return Cell(_("Random draws"), own.code, own.notes)
    if not run.draws_dropout:
        return None
    notes = [
        _(
            "Torch is seeded before each forward pass, so that dropout depends only on the number "
            "of the step. splitmix64 turns neighboring numbers into unrelated seeds."
        )
    ]
    return Cell(_("Seeds"), stacked(_SEEDS), notes)


def model_cell(run: SourceRun) -> Cell:
    """The pretrained model with its head, on the CPU in float32."""
    config = run.files.config()
    head = run.parts.model_class.removeprefix("AutoModelFor")
    has_head = any(head in str(name) for name in config.get("architectures") or ())
    revision = ["revision=REVISION"] if run.files.revision else []
    arguments = ["MODEL", *revision, *run.parts.model_arguments]
    if (padding := default_padding(config)) is not None:
        arguments.append(f"pad_token_id={padding}")
    arguments += [f"{key}={literal(rate)}" for key, rate in run.dropout_rates.items()]
    arguments.append("dtype=torch.float32")
    if has_head:
        arguments.append("ignore_mismatched_sizes=True")
    code = block(
        run.is_deterministic
        and (
            'os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")',
            "torch.use_deterministic_algorithms(True)",
        ),
        "torch.manual_seed(SEED)",
        f"model = {run.parts.model_class}.from_pretrained(",
        [f"    {argument}," for argument in arguments],
        ")",
        _freezing(run),
        run.train.gradient_checkpointing
        and 'model.gradient_checkpointing_enable({"use_reentrant": False})',
    )
    note = _("Seed before loading the model: its new head is drawn at random.")
    if own := run.parts.network:
        return Cell(_("Model"), stacked(code, own.code), [note, *own.notes])
    return Cell(_("Model"), code, [note])


def _freezing(run: SourceRun) -> list[str]:
    """Parameters that are not trained."""
    lines = []
    for pattern in run.train.freeze:
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


def scores_cell(run: SourceRun) -> Cell:
    """`compute_scores`, from what evaluation keeps of all rows."""
    parts = run.parts
    metrics = {
        name: parts.metrics[name] for name in (*run.metrics, "loss") if name in parts.metrics
    }
    arguments = ["values", "_labels"] if parts.statistics else ["logits", "labels"]
    arguments += ["name"] if parts.scores_read_rows else []
    notes = [parts.metric_notes[name] for name in metrics if name in parts.metric_notes]
    code = block(
        f"def compute_scores({', '.join(arguments)}):",
        [f"    {line}" for line in parts.scores.splitlines()],
        "    return {",
        [f'        "{name}": {expression},' for name, expression in metrics.items()],
        "    }",
    )
    if own := parts.statistics:
        return Cell(_("Scores"), stacked(own.code, code), [*own.notes, *dict.fromkeys(notes)])
    return Cell(_("Scores"), code, list(dict.fromkeys(notes)))
