"""The style "trainer": transformers' Trainer with the order, seeds and selection of the run."""

from __future__ import annotations

from tunesmith.i18n import gettext as _
from tunesmith.interop.eject.cells import Cell, block, stacked
from tunesmith.interop.eject.source_run import SourceRun
from tunesmith.training.learning_rate import SCHEDULERS

__all__ = ["trainer_cells"]


_SEED_STEPS = """\
class SeedDropout(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        torch.manual_seed(seed_of(SEED, state.global_step, 0))
"""
_SEED_MICRO_BATCHES = """\
class SeedDropout(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        self.micro_batch = 0
        torch.manual_seed(seed_of(SEED, state.global_step, 0))

    def on_substep_end(self, args, state, control, **kwargs):
        self.micro_batch += 1
        torch.manual_seed(seed_of(SEED, state.global_step, self.micro_batch))
"""
_TRAINING_BATCHES = """\
class TrainingBatches(torch.utils.data.Dataset):
    def __len__(self):
        return TOTAL_STEPS

    def __getitem__(self, step):
        rows, size = data["train"], len(data["train"])
        epoch, index = divmod(step, math.ceil(size / BATCH_SIZE))
        generator = torch.Generator().manual_seed(SEED + epoch)
        order = torch.randperm(size, generator=generator).tolist()
        batch = order[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]
        return corrupt(collate([rows[i] for i in batch]), seed_of(SEED, step))
"""
_EVALUATION_BATCHES = """\
def evaluation_batches(rows):
    loader = DataLoader(rows, batch_size=EVAL_BATCH_SIZE, collate_fn=collate)
    return [corrupt(batch, seed=0) for batch in loader]
"""


def trainer_cells(run: SourceRun) -> list[Cell]:
    """Callbacks, batches, loss, arguments and training."""
    cells = [_callbacks(run), _batches(run), _loss(run), _arguments(run), _training(run)]
    return [cell for cell in cells if cell is not None]


def _needs_own_due(run: SourceRun) -> bool:
    """Whether no setting of Trainer evaluates at the steps of the run."""
    every = run.evaluation_interval
    return _strategy(run) == "steps" and (every != int(every) or run.plan.total_steps % every > 0)


def _strategy(run: SourceRun) -> str:
    if not run.evaluates:
        return "no"
    by_epoch = run.evaluation_interval == run.plan.steps_per_epoch and not run.parts.corrupt
    return "epoch" if by_epoch else "steps"


def _callbacks(run: SourceRun) -> Cell | None:
    parts, notes = [], []
    if run.draws_dropout:
        notes.append(_("Torch is seeded before each forward pass, for the same dropout."))
        parts.append(_SEED_MICRO_BATCHES if run.micro_batch_size else _SEED_STEPS)
    if _needs_own_due(run):
        both = "control.should_evaluate = control.should_save = due"
        parts.append(
            block(
                "class EvaluateWhenDue(TrainerCallback):",
                "    def on_step_end(self, args, state, control, **kwargs):",
                "        step = state.global_step",
                f"        due = {run.evaluation_due}",
                f"        {both if run.selection else 'control.should_evaluate = due'}",
            )
        )
        notes.append(_("No setting of Trainer evaluates at these steps and at the last one."))
    return Cell(_("Callbacks"), stacked(*parts), notes) if parts else None


def _batches(run: SourceRun) -> Cell | None:
    """Data sets of whole batches, for a task that draws its labels in each step."""
    if not run.parts.corrupt:
        return None
    notes = [
        _(
            "The draw depends on the step, which a collator of Trainer does not know. So each item "
            "of these data sets is a whole batch, and its index is the step."
        )
    ]
    code = stacked(_TRAINING_BATCHES, _EVALUATION_BATCHES if run.scored else None)
    return Cell(_("Batches"), code, notes)


def _loss(run: SourceRun) -> Cell | None:
    """With micro-batches Trainer needs to know how to divide the loss."""
    if not run.micro_batch_size and not run.parts.own_loss:
        return None
    code = block(
        "def compute_loss(outputs, labels, num_items_in_batch=None):",
        f"    total = {run.parts.loss_sum}",
        "    count = labels.numel() if num_items_in_batch is None else num_items_in_batch",
        "    return total / count",
    )
    notes = [
        _(
            "The loss is divided by the targets of the whole step. The mean of the means of its "
            "micro-batches would be another number if their sizes differ."
        )
        if run.micro_batch_size
        else _("The loss is the mean over all targets of the step.")
    ]
    return Cell(_("Loss"), code, notes)


def _arguments(run: SourceRun) -> Cell:
    train, corrupts, micro = run.train, run.parts.corrupt, run.micro_batch_size
    size = "1" if corrupts else "MICRO_BATCH_SIZE" if micro else "BATCH_SIZE"
    lines = [
        "output_dir=OUTPUT,",
        "seed=SEED,",
        "data_seed=SEED,",
        "max_steps=TOTAL_STEPS,",
        f"per_device_train_batch_size={size},",
        micro and "gradient_accumulation_steps=BATCH_SIZE // MICRO_BATCH_SIZE,",
        f"per_device_eval_batch_size={1 if corrupts else 'EVAL_BATCH_SIZE'},",
        "learning_rate=LEARNING_RATE,",
        f'lr_scheduler_type="{SCHEDULERS[train.schedule]}",',
        "warmup_steps=WARMUP_STEPS,",
        f"weight_decay={'WEIGHT_DECAY' if train.weight_decay else '0.0'},",
        f"adam_beta1={train.adam_beta1},",
        f"adam_beta2={train.adam_beta2},",
        f"adam_epsilon={train.adam_epsilon},",
        f"max_grad_norm={'MAX_GRAD_NORM' if train.max_grad_norm else '0.0'},",
        'optim="adamw_torch_fused",',
        run.precision == "bf16" and "bf16=True,",
        train.device == "cpu" and "use_cpu=True,",
        corrupts and 'train_sampling_strategy="sequential",',
        corrupts and "remove_unused_columns=False,",
        *(f"{argument}," for argument in run.parts.trainer_arguments),
        not corrupts and 'accelerator_config={"use_seedable_sampler": True},',
        *_evaluation_arguments(run),
        "logging_steps=LOG_EVERY,",
        'report_to="none",',
    ]
    code = block("arguments = TrainingArguments(", [f"    {line}" for line in lines if line], ")")
    notes = [_("Each epoch has its own order, drawn from the seed and the number of the epoch.")]
    return Cell(_("Arguments"), code, notes)


def _evaluation_arguments(run: SourceRun) -> list[str]:
    strategy = _strategy(run)
    lines = [f'eval_strategy="{strategy}",']
    every = "max(1, int(EVALUATE_EVERY))" if _needs_own_due(run) else "EVALUATE_EVERY"
    if strategy == "steps":
        lines.append(f"eval_steps={every},")
    selection = run.selection
    if selection is None:
        return [*lines, 'save_strategy="no",']
    lines.append(f'save_strategy="{strategy}",')
    if strategy == "steps":
        lines.append(f"save_steps={every},")
    return [
        *lines,
        "save_total_limit=1,",
        "load_best_model_at_end=True,",
        f'metric_for_best_model="{selection.score}",',
        f"greater_is_better={selection.higher},",
    ]


def _metrics_of(run: SourceRun, split: str) -> str:
    name = f', "{split}"' if run.parts.scores_read_rows else ""
    return f"lambda pair: compute_scores(*pair{name})"


def _training(run: SourceRun) -> Cell:
    corrupts = run.parts.corrupt
    callbacks = [
        run.draws_dropout and "SeedDropout()",
        _needs_own_due(run) and "EvaluateWhenDue()",
        run.selection
        and run.selection.patience
        and "EarlyStoppingCallback(early_stopping_patience=PATIENCE)",
    ]

    def rows(name: str) -> str:
        return f'evaluation_batches(data["{name}"])' if corrupts else f'data["{name}"]'

    arguments = [
        "model=model,",
        "args=arguments,",
        "train_dataset=TrainingBatches()," if corrupts else 'train_dataset=data["train"],',
        "validation" in run.scored and f"eval_dataset={rows('validation')},",
        f"data_collator={'lambda batches: batches[0]' if corrupts else 'collate'},",
        "processing_class=tokenizer,",
        (run.micro_batch_size or run.parts.own_loss) and "compute_loss_func=compute_loss,",
        run.scored and f"compute_metrics={_metrics_of(run, run.scored[0])},",
        run.parts.statistics and run.scored and "preprocess_logits_for_metrics=statistics,",
    ]
    ending = []
    for name, variable in (("validation", "scores"), ("test", "test_scores")):
        if name in run.scored:
            if run.parts.scores_read_rows and name != run.scored[0]:
                ending.append(f"trainer.compute_metrics = {_metrics_of(run, name)}")
            evaluated = f'{rows(name)}, metric_key_prefix="{name}"'
            ending += [
                f"{variable} = trainer.evaluate({evaluated})",
                f'print("{name}", {variable})',
            ]
    code = block(
        "trainer = Trainer(",
        [f"    {argument}" for argument in arguments if argument],
        ")",
        [f"trainer.add_callback({callback})" for callback in callbacks if callback],
        "trainer.train()",
        'losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]',
        run.scored and run.parts.before_final,
        ending,
        "trainer.save_model(OUTPUT)",
    )
    return Cell(_("Training"), code)
