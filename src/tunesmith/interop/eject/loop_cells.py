"""The styles "loop" and "accelerate": a training loop, with and without Accelerate."""

from __future__ import annotations

from tunesmith.i18n import gettext as _
from tunesmith.interop.eject.cells import Cell, block, fitted, stacked
from tunesmith.interop.eject.source_run import SourceRun

__all__ = ["SCHEDULES", "loop_cells"]

SCHEDULES = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant_with_warmup",
    "polynomial": "polynomial",
    "inverse_sqrt": "inverse_sqrt",
}
"""The name of each schedule in transformers."""

_CODE = {
    "loop": {
        "batch": "batch.to(device)",
        "print": "print",
        "process": "0",
        "backward": "loss.backward()",
        "log": "losses.append(loss.item())",
        "clip": "torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)",
        "model": "model",
        "weights": "model.state_dict()",
        "gathered": "{}",
    },
    "accelerate": {
        "batch": "batch",
        "print": "accelerator.print",
        "process": "accelerator.process_index",
        "backward": "accelerator.backward(loss)",
        "log": 'losses.append(accelerator.reduce(loss.detach(), reduction="mean").item())',
        "clip": "accelerator.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)",
        "model": "accelerator.unwrap_model(model)",
        "weights": "accelerator.get_state_dict(model)",
        "gathered": "accelerator.gather_for_metrics({})",
    },
}
"""Expressions and statements in which the styles differ."""

_MICRO_BATCHES = """\
def collate_micro_batches(rows):
    starts = range(0, len(rows), MICRO_BATCH_SIZE)
    return [collate(rows[i : i + MICRO_BATCH_SIZE]) for i in starts]
"""
_LOOP_BATCHES = """\
def batches():
    for epoch in itertools.count():
        generator = torch.Generator().manual_seed(SEED + epoch)
        order = RandomSampler(data["train"], generator=generator)
        yield from DataLoader(
            data["train"], batch_size=BATCH_SIZE, sampler=order, collate_fn={collate}
        )
"""
_ACCELERATE_BATCHES = """\
def batches():
    for epoch in itertools.count():
        train_loader.set_epoch(epoch)
        yield from train_loader
"""
_EVAL_LOADERS = """\
eval_loaders = {
    name: DataLoader(rows, batch_size=EVAL_BATCH_SIZE, collate_fn=collate)
    for name, rows in data.items()
    if name != "train"
}
"""
_WEIGHT_GROUPS = """\
decayed, spared = [], []
for name, parameter in model.named_parameters():
    is_spared = parameter.ndim < 2 or "bias" in name.lower()
    (spared if is_spared else decayed).append(parameter)
"""


def loop_cells(run: SourceRun) -> list[Cell]:
    """Optimizer and batches, evaluation, training, saving."""
    return [_preparation(run), _evaluation(run), _training(run), _ending(run)]


def _is_accelerated(run: SourceRun) -> bool:
    return run.style == "accelerate"


def _under_autocast(run: SourceRun) -> bool:
    """Whether the script itself casts to bfloat16."""
    return run.precision == "bf16" and not _is_accelerated(run)


# optimizer and batches


def _preparation(run: SourceRun) -> Cell:
    device = _accelerator(run) if _is_accelerated(run) else _device(run)
    notes = [_("Each epoch has its own order, drawn from the seed and the number of the epoch.")]
    if run.train.weight_decay:
        notes.append(_("Weight decay applies to weights, not to biases and norms."))
    if _is_accelerated(run):
        notes.append(
            _(
                "The batch size is that of a step, divided among all processes. The schedule is "
                "not prepared: Accelerate would step it once for each process."
            )
        )
    code = stacked(device, _optimizer(run), *_batches(run))
    return Cell(_("Optimizer and batches"), code, notes)


def _device(run: SourceRun) -> str:
    name = f'"{run.train.device}"'
    if run.train.device == "auto":
        name = '"cuda" if torch.cuda.is_available() else "cpu"'
        if run.device == "mps":
            name = '"mps" if torch.backends.mps.is_available() else "cpu"'
    return block(f"device = torch.device({name})", "model.to(device)")


def _accelerator(run: SourceRun) -> str:
    return block(
        "accelerator = Accelerator(",
        run.train.device == "cpu" and "    cpu=True,",
        run.precision == "bf16" and '    mixed_precision="bf16",',
        "    dataloader_config=DataLoaderConfiguration(",
        "        split_batches=True, use_seedable_sampler=True, data_seed=SEED",
        "    ),",
        ")",
    )


def _optimizer(run: SourceRun) -> str:
    train = run.train
    parameters: tuple[str, ...] = ("model.parameters(),",)
    if train.weight_decay:
        parameters = (
            "[",
            '    {"params": decayed, "weight_decay": WEIGHT_DECAY},',
            '    {"params": spared, "weight_decay": 0.0},',
            "],",
        )
    arguments = [
        *parameters,
        "lr=LEARNING_RATE,",
        f"betas=({train.adam_beta1}, {train.adam_beta2}),",
        f"eps={train.adam_epsilon},",
        "" if train.weight_decay else "weight_decay=0.0,",
        "fused=True,",
    ]
    return block(
        _WEIGHT_GROUPS if train.weight_decay else None,
        "optimizer = torch.optim.AdamW(",
        [f"    {line}" for line in arguments if line],
        ")",
        "scheduler = get_scheduler(",
        f'    "{SCHEDULES[train.schedule]}",',
        "    optimizer,",
        "    num_warmup_steps=WARMUP_STEPS,",
        "    num_training_steps=TOTAL_STEPS,",
        ")",
    )


def _batches(run: SourceRun) -> tuple[str | None, ...]:
    collate = "collate_micro_batches" if run.micro_batch_size else "collate"
    cut = _MICRO_BATCHES if run.micro_batch_size else None
    eval_loaders = _EVAL_LOADERS if run.scored else None
    if not _is_accelerated(run):
        batches = block(_LOOP_BATCHES.format(collate=collate))
        return cut, batches, eval_loaders
    arguments = f'data["train"], batch_size=BATCH_SIZE, shuffle=True, collate_fn={collate}'
    prepared = block(
        fitted("train_loader = DataLoader(", arguments, ")"),
        eval_loaders,
        "model, optimizer, train_loader = accelerator.prepare(model, optimizer, train_loader)",
        bool(run.scored)
        and "eval_loaders = {name: accelerator.prepare(it) for name, it in eval_loaders.items()}",
    )
    return cut, prepared, _ACCELERATE_BATCHES


# evaluation


def _evaluation(run: SourceRun) -> Cell:
    if not run.scored:
        return Cell(_("Evaluation"), "", [_("There are no rows to score.")])
    use, parts = _CODE[run.style], run.parts
    if parts.statistics:
        start, result = "parts = []", "torch.cat(parts).numpy(), None"
        gathered = use["gathered"].format("statistics(logits, labels)")
        collect = f"parts.append({gathered}.cpu())"
    else:
        start = "logits_parts, labels_parts = [], []"
        result = "torch.cat(logits_parts).numpy(), torch.cat(labels_parts).numpy()"
        collect = block(
            _is_accelerated(run)
            and "logits, labels = accelerator.gather_for_metrics((logits, labels))",
            "logits_parts.append(logits.cpu())",
            "labels_parts.append(labels.cpu())",
        )
    autocast = ", torch.autocast(device.type, torch.bfloat16)" if _under_autocast(run) else ""
    each_batch = block(
        f"batch = corrupt({use['batch']}, seed=0)" if parts.corrupt else None,
        not parts.corrupt and not _is_accelerated(run) and f"batch = {use['batch']}",
        'labels = batch.pop("labels")',
        f"with torch.no_grad(){autocast}:",
        "    logits = model(**batch).logits.float()",
        collect,
        indent=2,
    )
    code = block(
        "def evaluate(name):",
        "    model.eval()",
        f"    {start}",
        "    for batch in eval_loaders[name]:",
        each_batch,
        f"    return compute_scores({result}{', name' if parts.scores_read_rows else ''})",
    )
    notes = []
    if parts.corrupt:
        notes.append(_("Each evaluation uses the same seed, so that scores can be compared."))
    if _is_accelerated(run):
        notes.append(
            _("Each process scores a part; rows repeated to fill the last batch are dropped.")
        )
    return Cell(_("Evaluation"), code, notes)


# training


def _training(run: SourceRun) -> Cell:
    use, selection = _CODE[run.style], run.selection
    batch = "micro_batches" if run.micro_batch_size else "batch"
    worst = "-math.inf" if selection and selection.higher else "math.inf"
    code = block(
        "losses = []",
        bool(selection) and f"best_score, best_weights = {worst}, None",
        bool(selection and selection.patience) and "evaluations_since_best = 0",
        f"for step, {batch} in zip(range(1, TOTAL_STEPS + 1), batches()):",
        block(
            "model.train()",
            _accumulated(run) if run.micro_batch_size else _one_batch(run),
            bool(run.train.max_grad_norm) and use["clip"],
            "optimizer.step()",
            "scheduler.step()",
            "optimizer.zero_grad()",
            "if step % LOG_EVERY == 0:",
            f'    {use["print"]}(f"step {{step}}/{{TOTAL_STEPS}}  loss {{losses[-1]:.4f}}")',
            _evaluated(run) if run.evaluates else None,
            indent=1,
        ),
    )
    notes = []
    if run.micro_batch_size:
        notes.append(
            _(
                "The gradients of the micro-batches add up to that of the step: each loss is a "
                "mean, weighted by its fraction of the targets."
            )
        )
    if selection:
        notes.append(
            _("The weights with the {way} {score} on validation are kept.").format(
                way=_("highest") if selection.higher else _("lowest"), score=selection.score
            )
        )
    return Cell(_("Training"), code, notes)


def _loss(run: SourceRun, factor: str = "") -> str:
    """The loss of a batch, in the precision of the run."""
    line = f"loss = model(**{_CODE[run.style]['batch']}).loss{factor}"
    if _under_autocast(run):
        return block("with torch.autocast(device.type, torch.bfloat16):", f"    {line}")
    return line


def _one_batch(run: SourceRun) -> str:
    use = _CODE[run.style]
    return block(
        bool(run.parts.corrupt) and "batch = corrupt(batch, seed_of(SEED, step - 1))",
        run.draws_dropout and f"torch.manual_seed(seed_of(SEED, step - 1, {use['process']}))",
        _loss(run),
        use["backward"],
        use["log"],
    )


def _accumulated(run: SourceRun) -> str:
    backward = _CODE[run.style]["backward"]
    if _is_accelerated(run):
        backward = block(
            "is_last = i == len(micro_batches) - 1",
            "with contextlib.nullcontext() if is_last else accelerator.no_sync(model):",
            f"    {backward}",
        )
    return block(
        bool(run.parts.corrupt)
        and "micro_batches = [corrupt(batch, seed_of(SEED, step - 1)) for batch in micro_batches]",
        f"targets = [{run.parts.num_targets} for batch in micro_batches]",
        "losses.append(0.0)",
        "for i, batch in enumerate(micro_batches):",
        block(
            run.draws_dropout and "torch.manual_seed(seed_of(SEED, step - 1, i))",
            _loss(run, " * targets[i] / sum(targets)"),
            backward,
            "losses[-1] += loss.item()",
            indent=1,
        ),
    )


def _evaluated(run: SourceRun) -> str:
    use, selection = _CODE[run.style], run.selection
    body = ['scores = evaluate("validation")', f"{use['print']}(step, scores)"]
    if selection:
        body += [
            f'if scores["{selection.score}"] {">" if selection.higher else "<"} best_score:',
            f'    best_score = scores["{selection.score}"]',
            f"    best_weights = copy.deepcopy({use['weights']})",
        ]
        if selection.patience:
            body += [
                "    evaluations_since_best = 0",
                "else:",
                "    evaluations_since_best += 1",
                "    if evaluations_since_best == PATIENCE:",
                "        break",
            ]
    return block(f"if {run.evaluation_due}:", [f"    {line}" for line in body])


# the end


def _ending(run: SourceRun) -> Cell:
    use = _CODE[run.style]
    save = block(f"{use['model']}.save_pretrained(OUTPUT)", "tokenizer.save_pretrained(OUTPUT)")
    if _is_accelerated(run):
        save = block("if accelerator.is_main_process:", block(save, indent=1))
    scored = [
        line
        for name, variable in (("validation", "scores"), ("test", "test_scores"))
        if name in run.scored
        for line in (f'{variable} = evaluate("{name}")', f'{use["print"]}("{name}", {variable})')
    ]
    restore = f"    {use['model']}.load_state_dict(best_weights)"
    code = block(
        run.selection is not None and ("if best_weights is not None:", restore),
        run.parts.before_final if run.scored else None,
        scored,
        save,
    )
    return Cell(_("The finished model"), code)
