"""spaCy's textcat over a transformer, with the model of spaCy's quickstart for transformers.

Batches of the same number of rows replace the quickstart's batches by padded size, and a linear
decay its 250 steps of warm-up, which are more than the steps here. A pair is one text.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from shared import Clock, Task, line, run

CONFIG = """
[system]
seed = {seed}

[nlp]
lang = "en"
pipeline = ["transformer", "textcat"]
batch_size = 128

[components]

[components.transformer]
factory = "transformer"
max_batch_items = 4096

[components.transformer.model]
@architectures = "spacy-transformers.TransformerModel.v3"
name = "{model}"
tokenizer_config = {{"use_fast": true}}

[components.transformer.model.get_spans]
@span_getters = "spacy-transformers.strided_spans.v1"
window = 128
stride = 96

[components.textcat]
factory = "textcat"

[components.textcat.model]
@architectures = "spacy.TextCatEnsemble.v2"
nO = null

[components.textcat.model.tok2vec]
@architectures = "spacy-transformers.TransformerListener.v1"
grad_factor = 1.0

[components.textcat.model.tok2vec.pooling]
@layers = "reduce_mean.v1"

[components.textcat.model.linear_model]
@architectures = "spacy.TextCatBOW.v3"
exclusive_classes = true
length = 262144
ngram_size = 1
no_output_layer = false

[corpora]

[corpora.train]
@readers = "spacy.Corpus.v1"
path = "{folder}/train.spacy"

[corpora.dev]
@readers = "spacy.Corpus.v1"
path = "{folder}/validation.spacy"

[training]
seed = {seed}
accumulate_gradient = 1
dev_corpus = "corpora.dev"
train_corpus = "corpora.train"
max_epochs = {epochs}
patience = 0
eval_frequency = {steps_of_an_epoch}
score_weights = {{"cats_score": 1.0}}

[training.optimizer]
@optimizers = "Adam.v1"

[training.optimizer.learn_rate]
@schedules = "warmup_linear.v1"
warmup_steps = 0
total_steps = {steps}
initial_rate = {learning_rate}

[training.batcher]
@batchers = "spacy.batch_by_sequence.v1"
size = {batch_size}
"""


def train(task: Task, clock: Clock) -> str:
    import spacy
    from spacy.language import DEFAULT_CONFIG
    from spacy.tokens import DocBin
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as train_loop
    from spacy.util import load_config_from_str
    from thinc.api import Config

    with TemporaryDirectory() as folder:
        blank = spacy.blank("en")
        for split in ("train", "validation"):
            docs = list(blank.pipe(task.joined(split)))
            for doc, label in zip(docs, task.classes(split), strict=True):
                doc.cats = {name: float(i == label) for i, name in enumerate(task.labels)}
            DocBin(docs=docs).to_disk(Path(folder) / f"{split}.spacy")
        run_folder = Path(folder) / "run"
        run_folder.mkdir()
        text = CONFIG.format(
            seed=task.seed,
            model=task.model,
            folder=folder,
            epochs=task.epochs,
            steps=task.steps(),
            steps_of_an_epoch=task.steps() // task.epochs,
            learning_rate=task.learning_rate,
            batch_size=task.batch_size,
        )
        with clock:
            nlp = init_nlp(Config(DEFAULT_CONFIG).merge(load_config_from_str(text)))
            nlp, _best = train_loop(nlp, run_folder)
        best = spacy.load(run_folder / "model-best")
        answers = [
            max(doc.cats, key=doc.cats.__getitem__) for doc in best.pipe(task.joined("test"))
        ]
    return line(
        clock,
        [task.labels.index(answer) for answer in answers],
        ["spacy", "spacy-transformers", "transformers", "torch"],
    )


if __name__ == "__main__":
    run(train)
