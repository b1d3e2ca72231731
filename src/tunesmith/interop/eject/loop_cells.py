"""The styles "loop" and "accelerate": a training loop, with and without Accelerate."""

from __future__ import annotations

from tunesmith.i18n import gettext as _
from tunesmith.interop.eject.cells import Cell, block, fitted, stacked
from tunesmith.interop.eject.source_run import SourceRun
from tunesmith.training.plan import SCHEDULERS

__all__ = ["loop_cells"]


def loop_cells(run: SourceRun) -> list[Cell]:
    """Optimizer and batches, evaluation, training, saving."""
    return [_preparation(run), _evaluation(run), _training(run), _ending(run)]


def _is_accelerated(run: SourceRun) -> bool:
    return run.style == "accelerate"


# optimizer and batches


def _preparation(run: SourceRun) -> Cell:
    train = run.train
    parts = [
        _accelerator(run) if _is_accelerated(run) else _device(run),
        _optimizer(run),
        _batches(run),
    ]
    notes = [_("Each epoch has its own order, drawn from the seed and the number of the epoch.")]
    if train.weight_decay:
        notes.append(_("Weight decay applies to weights, not to biases and norms."))
    if _is_accelerated(run):
        notes.append(
            _(
                "The batch size is that of a step, divided among all processes. The schedule is "
                "not prepared: Accelerate would step it once for each process."
            )
        )
    return Cell(_("Optimizer and batches"), stacked(*parts), notes)


def _device(run: SourceRun) -> str:
    if run.train.device != "auto":
        return block(f'device = torch.device("{run.train.device}")', "model.to(device)")
    return block(
        'device = torch.device("cuda" if torch.cuda.is_available() else "cpu")',
        "model.to(device)",
    )


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
    settings = [
        "lr=LEARNING_RATE,",
        f"betas=({train.adam_beta1}, {train.adam_beta2}),",
        f"eps={train.adam_epsilon},",
        not train.weight_decay and "weight_decay=0.0,",
        "fused=True,",
    ]
    parameters: tuple[str, ...] = ("model.parameters(),",)
    groups: tuple[str, ...] = ()
    if train.weight_decay:
        groups = (
            "decayed, spared = [], []",
            "for name, parameter in model.named_parameters():",
            '    is_spared = parameter.ndim < 2 or "bias" in name.lower()',
            "    (spared if is_spared else decayed).append(parameter)",
        )
        parameters = (
            "[",
            '    {"params": decayed, "weight_decay": WEIGHT_DECAY},',
            '    {"params": spared, "weight_decay": 0.0},',
            "],",
        )
    return block(
        groups,
        "optimizer = torch.optim.AdamW(",
        [f"    {line}" for line in (*parameters, *filter(None, settings))],
        ")",
        "scheduler = get_scheduler(",
        f'    "{SCHEDULERS[train.schedule]}",',
        "    optimizer,",
        "    num_warmup_steps=WARMUP_STEPS,",
        "    num_training_steps=TOTAL_STEPS,",
        ")",
    )


def _batches(run: SourceRun) -> str:
    collate, cut = "collate", None
    if run.micro_batch_size:
        collate = "collate_micro_batches"
        cut = block(
            "def collate_micro_batches(rows):",
            "    starts = range(0, len(rows), MICRO_BATCH_SIZE)",
            "    return [collate(rows[i : i + MICRO_BATCH_SIZE]) for i in starts]",
        )
    if not _is_accelerated(run):
        train = block(
            "def batches():",
            "    for epoch in itertools.count():",
            "        generator = torch.Generator().manual_seed(SEED + epoch)",
            '        order = RandomSampler(data["train"], generator=generator)',
            "        yield from DataLoader(",
            '            data["train"], batch_size=BATCH_SIZE, '
            f"sampler=order, collate_fn={collate}",
            "        )",
        )
        loaders = _evaluation_loaders(run)
        return stacked(cut, train, loaders)
    prepared = block(
        fitted(
            "train_loader = DataLoader(",
            f'data["train"], batch_size=BATCH_SIZE, shuffle=True, collate_fn={collate}',
            ")",
        ),
        _evaluation_loaders(run),
        "model, optimizer, train_loader = accelerator.prepare(model, optimizer, train_loader)",
        run.scored
        and "eval_loaders = {name: accelerator.prepare(it) for name, it in eval_loaders.items()}",
    )
    train = block(
        "def batches():",
        "    for epoch in itertools.count():",
        "        train_loader.set_epoch(epoch)",
        "        yield from train_loader",
    )
    return stacked(cut, prepared, train)


def _evaluation_loaders(run: SourceRun) -> str:
    if not run.scored:
        return ""
    return block(
        "eval_loaders = {",
        "    name: DataLoader(rows, batch_size=EVAL_BATCH_SIZE, collate_fn=collate)",
        "    for name, rows in data.items()",
        '    if name != "train"',
        "}",
    )


# evaluation


def _evaluation(run: SourceRun) -> Cell:
    if not run.scored:
        return Cell(_("Evaluation"), "", [_("There are no rows to score.")])
    moved = "batch" if _is_accelerated(run) else "batch.to(device)"
    corrupts, statistics = run.parts.corrupt, run.parts.statistics
    forward = block(
        "with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):"
        if run.precision == "bf16" and not _is_accelerated(run)
        else "with torch.no_grad():",
        "    logits = model(**batch).logits.float()",
    )
    gathered = "accelerator.gather_for_metrics({})" if _is_accelerated(run) else "{}"
    collect = (
        ("parts.append(" + gathered.format("statistics(logits, labels)") + ".cpu())",)
        if statistics
        else (
            _is_accelerated(run)
            and "logits, labels = accelerator.gather_for_metrics((logits, labels))",
            "logits_parts.append(logits.cpu())",
            "labels_parts.append(labels.cpu())",
        )
    )
    code = block(
        "def evaluate(name):",
        "    model.eval()",
        "    parts = []" if statistics else "    logits_parts, labels_parts = [], []",
        "    for batch in eval_loaders[name]:",
        f"        batch = corrupt({moved}, seed=0)" if corrupts else None,
        not corrupts and not _is_accelerated(run) and f"        batch = {moved}",
        '        labels = batch.pop("labels")',
        block(forward, indent=2),
        [block(line, indent=2) for line in collect if line],
        "    return compute_scores(torch.cat(parts).numpy(), None)"
        if statistics
        else "    return compute_scores("
        "torch.cat(logits_parts).numpy(), torch.cat(labels_parts).numpy())",
    )
    notes = []
    if corrupts:
        notes.append(_("Each evaluation uses the same seed, so that scores can be compared."))
    if _is_accelerated(run):
        notes.append(
            _("Each process scores a part; rows repeated to fill the last batch are dropped.")
        )
    return Cell(_("Evaluation"), code, notes)


# training


def _training(run: SourceRun) -> Cell:
    selection = run.selection
    start = [
        "losses = []",
        selection and f"best_score, best_weights = {'-' if selection.higher else ''}math.inf, None",
        selection and selection.patience and "evaluations_since_best = 0",
    ]
    code = block(
        [line for line in start if line],
        f"for step, {'micro_batches' if run.micro_batch_size else 'batch'} in "
        "zip(range(1, TOTAL_STEPS + 1), batches()):",
        block(
            "model.train()",
            _accumulated(run) if run.micro_batch_size else _one_batch(run),
            _clipping(run),
            "optimizer.step()",
            "scheduler.step()",
            "optimizer.zero_grad()",
            "if step % LOG_EVERY == 0:",
            f'    {_print(run)}(f"step {{step}}/{{TOTAL_STEPS}}  loss {{losses[-1]:.4f}}")',
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


def _print(run: SourceRun) -> str:
    return "accelerator.print" if _is_accelerated(run) else "print"


def _forward(run: SourceRun, factor: str = "") -> str:
    """The loss of a batch, in the precision of the run."""
    moved = "batch" if _is_accelerated(run) else "batch.to(device)"
    line = f"loss = model(**{moved}).loss{factor}"
    if run.precision == "bf16" and not _is_accelerated(run):
        return block("with torch.autocast(device.type, torch.bfloat16):", f"    {line}")
    return line


def _backward(run: SourceRun) -> str:
    return "accelerator.backward(loss)" if _is_accelerated(run) else "loss.backward()"


def _one_batch(run: SourceRun) -> str:
    number = "accelerator.process_index" if _is_accelerated(run) else "0"
    return block(
        bool(run.parts.corrupt) and "batch = corrupt(batch, seed_of(SEED, step - 1))",
        run.draws_dropout and f"torch.manual_seed(seed_of(SEED, step - 1, {number}))",
        _forward(run),
        _backward(run),
        'losses.append(accelerator.reduce(loss.detach(), reduction="mean").item())'
        if _is_accelerated(run)
        else "losses.append(loss.item())",
    )


def _accumulated(run: SourceRun) -> str:
    backward = _backward(run)
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
            _forward(run, " * targets[i] / sum(targets)"),
            backward,
            "losses[-1] += loss.item()",
            indent=1,
        ),
    )


def _clipping(run: SourceRun) -> str | None:
    if not run.train.max_grad_norm:
        return None
    if _is_accelerated(run):
        return "accelerator.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)"
    return "torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)"


def _evaluated(run: SourceRun) -> str:
    selection = run.selection
    body = [
        'scores = evaluate("validation")',
        f"{_print(run)}(step, scores)",
    ]
    if selection:
        sign = ">" if selection.higher else "<"
        weights = (
            "accelerator.get_state_dict(model)" if _is_accelerated(run) else "model.state_dict()"
        )
        body += [
            f'if scores["{selection.score}"] {sign} best_score:',
            f'    best_score = scores["{selection.score}"]',
            f"    best_weights = copy.deepcopy({weights})",
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
    plain = "accelerator.unwrap_model(model)" if _is_accelerated(run) else "model"
    save = [f"{plain}.save_pretrained(OUTPUT)", "tokenizer.save_pretrained(OUTPUT)"]
    if _is_accelerated(run):
        save = ["if accelerator.is_main_process:", *(f"    {line}" for line in save)]
    scored = []
    for name, variable in (("validation", "scores"), ("test", "test_scores")):
        if name in run.scored:
            scored += [
                f'{variable} = evaluate("{name}")',
                f'{_print(run)}("{name}", {variable})',
            ]
    code = block(
        run.selection is not None
        and ("if best_weights is not None:", f"    {plain}.load_state_dict(best_weights)"),
        scored,
        save,
    )
    return Cell(_("The finished model"), code)
