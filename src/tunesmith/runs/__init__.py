"""One run: from a recipe to a folder that holds all of it, resumed after any stop.

In this order: `start` locks the folder, `prepare` tokenizes, `open_session` builds the model or
resumes it, `preflight` tries what could fail later, `train` consumes the events of the loop,
`recorder` writes log and checkpoints, `finish` scores the best model and writes `predictions` and
the `model_folder`. `folder` knows where each file is; `make_engine` and `model_selection` choose.
"""

from __future__ import annotations
