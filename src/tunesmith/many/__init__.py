"""Many small jobs, one run folder each, from a file with a line for each: `tunesmith many`.

- `jobs_file`: the lines, each validated before anything starts.
- `states`: how a job ended, in a file of its run folder.
- `index`: the states of all jobs, appended to one file.
- `queue`: which job comes next, and which one is tried again.
- `run_job`: one job, trained in this process.
- `warm`: what a process imports once, for all jobs that are forked from it.
- `processes`: the processes of the jobs, their signals and their ends.
- `run_jobs`: all of it.
"""

from __future__ import annotations
