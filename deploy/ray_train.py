"""Train a recipe with Ray Train: `ray job submit -- python ray_train.py RECIPE OUT`.

The machines need `pip install "tunesmith[ray]"`, and recipe, data and OUT on a file system that all
of them share. The same command continues a run.
"""

import argparse
from pathlib import Path

from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from tunesmith.ray import EndOnErrors, train_loop

parser = argparse.ArgumentParser(description="Train a recipe with Ray Train.")
parser.add_argument("recipe", type=Path, help="a recipe or data, on a shared file system")
parser.add_argument("out", type=Path, help="the run folder, on a shared file system")
parser.add_argument("--workers", type=int, default=2, help="as many as there is room for")
parser.add_argument("--at-least", type=int, default=1, help="with fewer the job waits")
parser.add_argument("--cpus", type=int, default=1, help="of each worker, and its threads")
parser.add_argument("--gpu", action="store_true", help="give each worker a GPU")
options = parser.parse_args()
out = options.out.resolve()

trainer = TorchTrainer(
    train_loop,
    train_loop_config={"what": str(options.recipe.resolve()), "out": str(out)},
    scaling_config=ScalingConfig(
        num_workers=(options.at_least, options.workers),
        use_gpu=options.gpu,
        resources_per_worker={"CPU": options.cpus, "GPU": int(options.gpu)},
    ),
    run_config=RunConfig(
        name=out.name,
        storage_path=str(out.parent / "ray"),  # what Ray keeps: a few small files
        callbacks=[EndOnErrors()],
        failure_config=FailureConfig(max_failures=100),  # lost machines; mistakes end at once
    ),
)
print(trainer.fit().return_value)
