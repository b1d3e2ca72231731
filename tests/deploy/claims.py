"""What the guide to clusters says, line by line, and what proves it.

Each line, row and paragraph of `docs/how-to/clusters.md` has an entry here, named by some words of
it. Proofs are tests, as `file::test`; cases of the faults suite, as `faults KIND: words of their
names`; or "reviewed", with what was read: those things did not run.
"""

from __future__ import annotations

__all__ = ["CLAIMS"]

_SHELL = "tests/deploy/test_shell.py::"
_READ = "tests/deploy/test_manifests.py::"
_SLURM = "tests/deploy/test_slurm.py::"
_RAY = "tests/test_ray.py::"
_CLUSTER = "tests/test_ray_cluster.py::"
_STORE = "tests/remote/"
_COPY = "tests/runs/test_remote_folder.py::"

CLAIMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "one command and three answers",
        (
            "faults killed_jobs: 2 by launch",
            "faults signals: launch, 4 processes: TERM to the launcher",
            "tests/jobs/test_launcher.py::test_an_error_is_reported_once",
            f"{_READ}test_every_code_is_that_of_a_stopped_run",
        ),
    ),
    ("| SLURM | `slurm.sbatch`", (f"{_SHELL}test_there_is_a_bound",)),
    ("| Kubeflow Trainer |", (f"{_READ}test_nothing_is_repeated_without_a_bound",)),
    ("| SkyPilot | `skypilot.yaml`", (f"{_SHELL}test_skypilot_has_a_bound",)),
    ("| systemd | `tunesmith@.service`", (f"{_READ}test_nothing_is_repeated_without_a_bound",)),
    (
        "| none | `Dockerfile` |",
        (f"{_READ}test_the_image_is_built_from_the_files_that_it_may_see",),
    ),
    ("What was run and what was only reviewed", (f"{_READ}test_pages_name_every_manifest",)),
    (
        "The run folder outlives the job",
        (
            "faults network: the folder of node 1 is older",
            "tests/runs/test_agreement.py::test_what_another_machine_has_is_not_looked_at",
            "reviewed: s3fs, gcsfuse",
        ),
    ),
    (
        "From the signal until the scheduler kills",
        (
            f"{_READ}test_schedulers_give_as_much_time_as_the_launcher",
            "tests/runs/test_agreement.py::"
            "test_a_stop_in_an_evaluation_saves_once_and_the_rerun_makes_it_again",
            "tests/jobs/test_orphans.py::test_a_save_that_may_not_fit_is_reported",
            "tests/runs/test_dry_run.py::test_times_and_memory_are_measured",
            "faults killed_jobs: a save",
        ),
    ),
    (
        "A signal has to reach Python",
        (
            "tests/jobs/test_worker.py::test_a_signal_to_a_process_without_a_launcher",
            "faults network: a container of one process, TERM at the start",
            "faults network: a container of one process, TERM at a step",
        ),
    ),
    (
        "Equal bits need equal numbers",
        (
            "tests/runs/test_elastic.py::test_two_processes_then_four_then_one",
            "faults killed_jobs: 4 by launch",
        ),
    ),
    (
        "Without internet",
        ("tests/storage/test_hub.py::test_offline_the_cache_answers",),
    ),
    (
        "Each task of `srun` is one process",
        (
            f"{_SHELL}test_each_task_is_one_process_of_the_job",
            f"{_SHELL}test_the_highest_code_of_the_tasks_decides",
            f"{_SLURM}test_a_killed_process_ends_the_job",
            "faults signals: srun, 2 processes: TERM to all",
        ),
    ),
    ("| `--signal=TERM@180` |", (f"{_SLURM}test_a_time_limit_is_a_stop", "reviewed: SLURM")),
    ("| no trap |", (f"{_SLURM}test_a_canceled_job_is_saved_and_not_queued_again",)),
    ("| `--kill-on-bad-exit=0 --wait=0` |", (f"{_SLURM}test_a_killed_process_ends_the_job",)),
    ("| `--gpus-per-node` |", ("reviewed: SLURM; not run on a GPU",)),
    ("| `--cpus-per-task` for `srun` |", ("reviewed: SLURM",)),
    ("| `--open-mode=append` |", ("reviewed: SLURM",)),
    (
        "**Preemption** signals the steps",
        (f"{_SHELL}test_a_job_that_slurm_has_queued_itself", "reviewed: SLURM"),
    ),
    ("**`RequeueExit=75`**", ("reviewed: SLURM",)),
    ("A requeued job waits two minutes", ("reviewed: SLURM",)),
    (
        "Element i of the array",
        (
            f"{_SHELL}test_an_element_of_an_array_trains_its_line",
            f"{_SHELL}test_what_the_element_ends_with_is_that_of_train",
            f"{_SLURM}test_an_element_of_an_array_is_queued_again_alone",
        ),
    ),
    ("Build the image and push it", ("reviewed: Kubernetes",)),
    (
        "The Trainer sets the variables",
        (
            "faults network: pods, TERM to process 1 of 0 and 1",
            "reviewed: Trainer",
        ),
    ),
    (
        "| stopped after saving | 75",
        (
            "faults network: pods, TERM to process 1 of 0",
            f"{_READ}test_pods_of_a_restart_wait_until_the_last_one_has_saved",
            "reviewed: JobSet",
        ),
    ),
    (
        "| evicted, preempted, its machine is gone",
        ("faults network: node 1 gone at a step", "reviewed: Kubernetes, JobSet"),
    ),
    ("| an error, or out of memory", ("faults network: pods, KILL", "reviewed: JobSet")),
    (
        "The limit of restarts counts all of them",
        (
            "faults network: pods, KILL to process 1 of 0",
            f"{_READ}test_nothing_is_repeated_without_a_bound",
            "reviewed: JobSet",
        ),
    ),
    (
        "Kubernetes signals process 1",
        (
            "faults network: pods, TERM to process 1 of 1",
            f"{_READ}test_a_signal_reaches_the_process_that_saves",
        ),
    ),
    ("The number of nodes is fixed", ("reviewed: Trainer",)),
    (
        "A TrainJob that is done and created again",
        ("tests/runs/test_train.py::test_a_finished_run_is_left_alone",),
    ),
    ("From the root of a checkout, which SkyPilot", ("reviewed: SkyPilot",)),
    (
        "If a node is preempted, SkyPilot",
        (
            "faults network: node 0 gone at a step",
            f"{_SHELL}test_two_nodes_of_skypilot_start_one_job",
            f"{_SHELL}test_skypilot_has_a_bound",
            "reviewed: SkyPilot",
        ),
    ),
    ("The volume needs Kubernetes", ("reviewed: SkyPilot",)),
    (
        "`tunesmith@ratings` trains",
        (
            f"{_READ}test_a_signal_reaches_the_process_that_saves",
            "faults signals: launch, 4 processes: TERM to the launcher",
            "reviewed: systemd",
        ),
    ),
    (
        "The image has the versions",
        (
            f"{_READ}test_versions_are_those_of_the_project",
            f"{_READ}test_the_image_runs_as_a_user_and_holds_no_secret",
            "reviewed: Docker",
        ),
    ),
    (
        "| Ray Train | `ray_train.py`",
        (f"{_RAY}test_only_errors_that_would_come_again_end_the_job",),
    ),
    ("In a script of your own, `train_loop`", (f"{_CLUSTER}test_an_undisturbed_run",)),
    ("`train_loop_config` has the arguments", (f"{_RAY}test_a_wrong_configuration_is_refused",)),
    (
        "| a worker is killed, or its machine is lost |",
        (
            f"{_CLUSTER}test_a_worker_is_killed",
            f"{_CLUSTER}test_a_machine_is_lost_and_another_one_comes",
        ),
    ),
    (
        "| Ray learns that a machine will be taken away |",
        (
            f"{_RAY}test_each_machine_that_leaves_is_one_save",
            f"{_CLUSTER}test_a_machine_that_will_be_taken_away",
        ),
    ),
    (
        "| there is room for more or fewer workers |",
        (
            f"{_CLUSTER}test_a_machine_is_lost_and_the_other_one_goes_on",
            "tests/runs/test_elastic.py::test_two_processes_then_four_then_one",
            "reviewed: Ray",
        ),
    ),
    (
        "| an error that would come again, such as",
        (
            f"{_RAY}test_only_errors_that_would_come_again_end_the_job",
            f"{_CLUSTER}test_a_mistake_ends_the_job_at_once",
        ),
    ),
    ("| Ctrl-C at the driver", ("faults killed_jobs: rank 0 and rank 1", "reviewed: Ray")),
    ("**How much is lost** is at most", ("faults killed_jobs: a save", "reviewed: Ray")),
    (
        "**A notice is noticed between two steps**",
        (f"{_RAY}test_a_requested_save_does_not_stop", "reviewed: Ray"),
    ),
    (
        "**Without a shared file system** add",
        (f"{_CLUSTER}test_machines_with_folders_of_their_own",),
    ),
    ("**Ray keeps small files**", (f"{_CLUSTER}test_an_undisturbed_run",)),
    ("**Threads**: Ray sets `OMP_NUM_THREADS`", ("reviewed: Ray",)),
    (
        "An error of a worker reaches the driver",
        (f"{_RAY}test_any_error_reaches_another_process_whole",),
    ),
    ("| `ray_train.py` | on Ray", (f"{_CLUSTER}test_the_script_for_clusters", "reviewed: Ray")),
    (
        "Where disks do not outlive the job",
        (f"{_COPY}test_another_machine_continues_with_the_same_bits",),
    ),
    ("| `s3://BUCKET/PATH`", (f"{_STORE}test_s3_store.py::test_owners_with_the_real_library",)),
    (
        "| `gs://BUCKET/PATH` |",
        (f"{_STORE}test_gcs_store.py::test_conditions_are_generations", "reviewed: gcsfs"),
    ),
    (
        "| `az://CONTAINER/PATH` |",
        (f"{_STORE}test_azure_store.py::test_conditions_are_etags", "reviewed: adlfs"),
    ),
    (
        "| `file:///PATH` |",
        (f"{_STORE}test_local_stores.py::test_a_folder_shows_no_hidden_files",),
    ),
    (
        "Addresses with a user, a password or a query",
        (
            f"{_STORE}test_location.py::test_secrets_are_refused_and_not_shown",
            f"{_STORE}test_location.py::test_a_folder_in_it",
        ),
    ),
    (
        "| training | writes to the local folder",
        (f"{_STORE}test_mirror.py::test_states_are_sent_and_of_those_that_wait_only_the_newest",),
    ),
    (
        "| a state counts |",
        (
            f"{_STORE}test_upload.py::test_a_kill_before_or_after_any_write_leaves_a_whole_state",
            f"{_STORE}test_upload.py::test_two_states_are_kept_and_nothing_else",
        ),
    ),
    (
        "| the store fails |",
        (
            f"{_STORE}test_mirror.py::"
            "test_a_store_that_is_away_is_said_once_and_tried_until_it_is_back",
        ),
    ),
    (
        "| a stop (75) |",
        (
            f"{_COPY}test_the_last_save_at_a_stop_is_sent",
            f"{_STORE}test_mirror.py::test_at_a_stop_there_is_a_limit",
            f"{_COPY}test_a_slow_store_is_said_before_the_first_step",
        ),
    ),
    (
        "| the end | if the model",
        (
            f"{_STORE}test_mirror.py::test_what_is_not_stored_at_the_end_is_an_error",
            f"{_COPY}test_a_finished_run_that_was_not_stored_is_sent_by_the_same_command",
        ),
    ),
    ("| a start | the newest", (f"{_COPY}test_the_one_that_is_further_counts",)),
    (
        "| another run there |",
        (f"{_COPY}test_another_run_is_refused_before_anything_changes",),
    ),
    (
        "**One process writes.**",
        (
            f"{_STORE}test_lease.py::test_a_second_owner_is_refused_and_learns_who_is_there",
            f"{_STORE}test_lease.py::"
            "test_a_lease_that_is_not_renewed_is_taken_over_and_its_owner_notices",
            f"{_STORE}test_upload.py::test_a_late_writer_loses",
        ),
    ),
    (
        "**The store needs conditional writes**",
        (f"{_STORE}test_probe.py::test_one_that_ignores_a_condition_is_refused",),
    ),
    (
        "**With several processes** process 0 alone",
        (f"{_COPY}test_several_machines_and_all_of_their_folders_lost",),
    ),
    ("**A bucket of its own lifecycle**", ("reviewed: rules of buckets",)),
    ("[More](../decisions/remote-folders.md)", (f"{_COPY}test_there_is_no_run",)),
    (
        "Remote run folders were tried with folders",
        (f"{_COPY}test_a_kill_at_any_operation_on_s3",),
    ),
    ("Nothing has run on several machines", (f"{_READ}test_pages_name_every_manifest",)),
    (
        "| `slurm.sbatch`, `slurm-array.sbatch` | under SLURM",
        (
            f"{_SLURM}test_a_stopped_job_goes_on_to_the_same_weights",
            f"{_SLURM}test_a_time_limit_is_a_stop",
            f"{_SLURM}test_a_canceled_job_is_saved_and_not_queued_again",
        ),
    ),
    (
        "| `runtime.yaml`, `trainjob.yaml`, `storage.yaml` | variables",
        (
            "faults network: pods, TERM to process 1 of 0 and 1",
            f"{_READ}test_yaml_has_the_fields_of_its_schema",
        ),
    ),
    (
        "| `skypilot.yaml`, `skypilot-volume.yaml` | `run` for two nodes",
        (f"{_SHELL}test_two_nodes_of_skypilot_start_one_job",),
    ),
    (
        "| `tunesmith@.service` | checked by",
        (f"{_READ}test_the_unit_is_valid_for_systemd", "reviewed: systemd"),
    ),
    ("| `Dockerfile` | |", ("reviewed: Docker",)),
    (
        "Under SLURM (`tests/deploy/test_slurm.py`",
        (
            f"{_SLURM}test_a_stopped_job_goes_on_to_the_same_weights",
            f"{_SLURM}test_a_time_limit_is_a_stop",
            f"{_SLURM}test_a_canceled_job_is_saved_and_not_queued_again",
        ),
    ),
)
"""Words of a line, and its proofs."""
