from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.many.jobs_file import JobLine
from tunesmith.many.queue import MOST_ATTEMPTS, Queue


def jobs(count: int) -> list[JobLine]:
    return [JobLine(line, ("a.csv",), Path(f"runs/{line}"), {}) for line in range(1, count + 1)]


@settings(max_examples=50)
@given(st.integers(0, 6), st.data())
def test_each_job_is_done_once(count: int, data: st.DataObject) -> None:
    """Commands with one file, in any interleaving: a lock each, no job is done twice or left."""
    commands = [Queue(jobs(count)) for _each in range(data.draw(st.integers(1, 3)))]
    working: dict[int, tuple[int, JobLine]] = {}
    done: list[int] = []
    now = 0.0
    while any(map(len, commands)) or working:
        number = data.draw(st.integers(0, len(commands) - 1))
        now += data.draw(st.sampled_from([0.0, 1.0, 10.0]))
        if number in working:
            _command, ended = working.pop(number)
            done.append(ended.line)
            continue
        job = commands[number].next(now)
        if job is None or job.line in done:
            now += 1.0
        elif any(job is not None and other.line == job.line for _who, other in working.values()):
            commands[number].hold(job, now)
        else:
            working[number] = (number, job)
    assert sorted(done) == list(range(1, count + 1))


def test_what_was_stopped_is_tried_a_few_times_at_the_end() -> None:
    queue = Queue(jobs(2))
    tried = []
    while (job := queue.next(0.0)) is not None:
        tried.append(job.line)
        if job.line == 1:
            assert queue.stopped(job) is (tried.count(1) < MOST_ATTEMPTS)
    assert tried == [1, 2] + [1] * (MOST_ATTEMPTS - 1)


def test_a_held_job_waits() -> None:
    queue = Queue(jobs(1))
    job = queue.next(0.0)
    assert job is not None
    queue.hold(job, 0.0)
    assert queue.next(1.0) is None and len(queue) == 1
    assert queue.next(60.0) == job and len(queue) == 0
    queue.hold(job, 0.0)
    queue.clear()
    assert len(queue) == 0
