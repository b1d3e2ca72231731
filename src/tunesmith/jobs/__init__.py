"""Several processes that share one run.

- `launcher`: `tunesmith launch`, torchrun with the exit codes of Tunesmith.
- `launcher_signals`: what a signal to the launcher does.
- `launcher_watch`: what a launcher waits for has an end.
- `exit_codes`: each process leaves its exit code, and the launcher makes one of them.
- `worker`: what a process that a launcher started does before and after its command.
- `stop_signals`: which signals ask a run to stop.
- `unnoticed`: a signal while the main thread is inside of a library.
- `restarts`: an end to restarts that bring a run no further.
- `orphans`: a process ends when the launcher that started it is gone.
"""

from __future__ import annotations
