"""What the manifests say is what their schedulers read, and what Tunesmith does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests import doc_twins
from tests.checkout import ignored
from tests.deploy import manifests
from tests.deploy.manifests import (
    ARRAY,
    BATCH,
    DEPLOY,
    DOCKERFILE,
    MANIFESTS,
    READMES,
    ROOT,
    UNIT,
    VALIDATED,
    code,
    instructions,
    loaded,
)
from tunesmith import __version__
from tunesmith.errors import Interrupted
from tunesmith.jobs.launcher import _GRACE_SECONDS

PAGES = [ROOT / "docs" / "how-to" / "clusters.md", ROOT / "docs" / "zh" / "how-to" / "clusters.md"]
MARGIN = 30
"""Seconds between the end of the launcher's grace and that of the scheduler's."""


@pytest.mark.parametrize("path", VALIDATED, ids=lambda path: path.name)
def test_yaml_has_the_fields_of_its_schema(path: Path) -> None:
    schema = manifests.schema(VALIDATED[path])
    Draft202012Validator.check_schema(schema)
    errors = Draft202012Validator(schema).iter_errors(loaded(path))
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("kubeflow/runtime.yaml", "maxRestarts", "maxRestart"),
        ("kubeflow/runtime.yaml", "BlockingRecreate", "Wait"),
        ("kubeflow/runtime.yaml", "values: [75]", 'values: ["75"]'),
        ("kubeflow/runtime.yaml", "PodFailurePolicy]", "PodFailure]"),
        ("kubeflow/trainjob.yaml", "numNodes: 2", "nodes: 2"),
        ("skypilot.yaml", "recover_on_exit_codes: [75]", "recover_on_exit_codes: [275]"),
        ("skypilot.yaml", 'MAX_STARTS: "100"', "MAX_STARTS: 100"),
    ],
)
def test_a_schema_refuses(name: str, before: str, after: str, tmp_path: Path) -> None:
    """Misspelled fields, values of other types and out of range."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    assert before in text
    changed = tmp_path / "changed.yaml"
    changed.write_text(text.replace(before, after), encoding="utf-8")
    schema = manifests.schema(VALIDATED[DEPLOY / name])
    assert list(Draft202012Validator(schema).iter_errors(loaded(changed)))


def test_every_code_is_that_of_a_stopped_run() -> None:
    """In each place where a scheduler is configured to run the same command again."""
    exit_rule, condition_rule = manifests.job()["podFailurePolicy"]["rules"]
    service = manifests.unit()["Service"]
    codes = [
        *exit_rule["onExitCodes"]["values"],
        *loaded(DEPLOY / "skypilot.yaml")["resources"]["job_recovery"]["recover_on_exit_codes"],
        int(service["RestartForceExitStatus"]),
        int(service["SuccessExitStatus"]),
        *(int(re.findall(r"^again=(\d+)$", code(path), re.M)[0]) for path in (BATCH, ARRAY)),
    ]
    assert codes == [Interrupted.exit_code] * 6
    assert condition_rule["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    written = [number for path in MANIFESTS for number in re.findall(r"\b75\b", code(path))]
    assert len(written) == len(codes), "a code is in a place that this test does not know"


def test_nothing_is_repeated_without_a_bound() -> None:
    policy = manifests.job_set()["failurePolicy"]
    assert [rule["action"] for rule in policy["rules"]] == ["RestartJobSet", "FailJobSet"]
    assert policy["maxRestarts"] == 100 and manifests.job()["backoffLimit"] == 0
    service = manifests.unit()
    assert service["Unit"]["StartLimitBurst"] == "100"
    assert service["Unit"]["StartLimitIntervalSec"] == "1d"
    assert "Restart" not in service["Service"], "an error would be repeated, too"
    assert loaded(DEPLOY / "skypilot.yaml")["envs"]["MAX_STARTS"] == "100"
    for path in (BATCH, ARRAY):
        assert "${MAX_REQUEUES:-100}" in code(path)


def test_pods_of_a_restart_wait_until_the_last_one_has_saved() -> None:
    assert manifests.job_set()["failurePolicy"]["restartStrategy"] == "BlockingRecreate"
    assert manifests.pod()["restartPolicy"] == "Never", "what podFailurePolicy needs"


def test_schedulers_give_as_much_time_as_the_launcher() -> None:
    (docker,) = re.findall(r"--stop-timeout (\d+)", DOCKERFILE.read_text(encoding="utf-8"))
    signals = [re.findall(r"^#SBATCH --signal=TERM@(\d+)$", code(path), re.M) for path in
               (BATCH, ARRAY)]  # fmt: skip
    graces = [
        manifests.pod()["terminationGracePeriodSeconds"],
        manifests.unit()["Service"]["TimeoutStopSec"],
        docker,
        *(seconds for (seconds,) in signals),
    ]
    assert all(int(grace) >= _GRACE_SECONDS + MARGIN for grace in graces), graces


def test_a_signal_reaches_the_process_that_saves() -> None:
    """The command is started without a shell in between, or takes the place of its shell."""
    assert manifests.container()["command"] == ["python", "-m", "tunesmith.launch"]
    assert dict(instructions())["ENTRYPOINT"] == '["python", "-m", "tunesmith"]'
    service = manifests.unit()["Service"]
    assert service["ExecStart"].split()[0].endswith("/bin/python")
    assert (service["Type"], service["KillMode"]) == ("exec", "mixed")
    assert "\n    exec python -m tunesmith train " in code(BATCH)
    assert re.search(r"^srun [^|&;]* \\\n +python -m tunesmith many ", code(ARRAY), re.M)
    last = loaded(DEPLOY / "skypilot.yaml")["run"].replace("\\\n", "").splitlines()[-1]
    assert last.startswith("exec ~/tunesmith/bin/python -m tunesmith.launch ")
    for path in (BATCH, ARRAY):
        assert "#SBATCH --requeue\n" in code(path) and "#SBATCH --open-mode=append\n" in code(path)
        assert "trap" not in code(path), "scancel ends the script, so that nothing is queued again"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_valid_for_systemd(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8").replace("/opt/tunesmith/bin/python", sys.executable)
    unit_file = tmp_path / "tunesmith@.service"
    unit_file.write_text(text, encoding="utf-8", newline="\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "tunesmith@ratings.service")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if "tunesmith" in line]
    assert not complaints, done.stderr


def test_every_environment_variable_is_in_the_table() -> None:
    """And in the files that the table names, in both languages."""
    table = manifests.environment_table()
    used: dict[str, set[str]] = {}
    for path in MANIFESTS:
        for name in manifests.environment_names(path):
            used.setdefault(name, set()).add(path.relative_to(DEPLOY).as_posix())
    named = {name: set(re.findall(r"`([^`]+)`", files)) for name, files in table.items()}
    assert named == used
    assert manifests.environment_table(READMES[1]).keys() == table.keys()


def test_versions_are_those_of_the_project() -> None:
    assert manifests.container()["image"] == f"tunesmith:{__version__}"
    written = re.findall(r"tunesmith:(\d[\w.]*)", DOCKERFILE.read_text(encoding="utf-8"))
    assert set(written) == {__version__}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    images = {rest.split()[0] for name, rest in instructions() if name == "FROM"}
    ((python,),) = [re.findall(r"^python:(\d\.\d+)-slim-", image) for image in images]
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]
    assert f" --python {python} " in loaded(DEPLOY / "skypilot.yaml")["setup"]
    setups = [loaded(DEPLOY / "skypilot.yaml")["setup"], DOCKERFILE.read_text(encoding="utf-8")]
    for setup in setups:
        assert re.search(r"pip install .*--constraint \S*constraints\.txt .*\[kernels\]'", setup)
    assert "kernels" in project["optional-dependencies"]


def test_a_manifest_names_the_version_of_its_schema() -> None:
    for path, name in VALIDATED.items():
        comment = manifests.schema(name)["$comment"]
        assert path.relative_to(ROOT).as_posix() in comment
        versions = re.findall(r"(Kubeflow Trainer|SkyPilot) (\d+\.\d+)", path.read_text("utf-8"))
        assert all(f"{project} {version}" in comment for project, version in versions)


def test_the_image_is_built_from_the_files_that_it_may_see() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in ignored if line and not line.startswith("#")]
    assert patterns[0] == "*", "everything else stays out: data, tokens, environments"
    allowed = {pattern[1:] for pattern in patterns if pattern.startswith("!")}
    copied = {
        word
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for word in rest.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    archived = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert {name.strip("/") for name in archived} <= copied


def test_the_image_runs_as_a_user_and_holds_no_secret() -> None:
    users = [rest for name, rest in instructions() if name == "USER"]
    assert users == ["1000:1000"]
    assert manifests.pod()["securityContext"]["runAsUser"] == 1000
    assert manifests.pod()["securityContext"]["runAsNonRoot"] is True
    for path in MANIFESTS:
        assert not re.search(r"TOKEN|SECRET|PASSWORD|API_KEY", code(path)), path.name


def test_the_volumes_are_those_of_the_claims() -> None:
    claim = loaded(DEPLOY / "kubeflow" / "storage.yaml")["metadata"]["name"]
    volumes = {volume["name"]: volume for volume in manifests.pod()["volumes"]}
    assert volumes["runs"]["persistentVolumeClaim"]["claimName"] == claim
    mounts = manifests.container()["volumeMounts"]
    assert {mount["name"] for mount in mounts} == set(volumes)
    train = loaded(DEPLOY / "kubeflow" / "trainjob.yaml")["spec"]
    assert train["runtimeRef"]["name"] == "tunesmith"
    args = train["trainer"]["args"]
    assert args[0] == "train" and args[args.index("--out") + 1].startswith("/runs/")
    sky = loaded(DEPLOY / "skypilot.yaml")
    volume = loaded(DEPLOY / "skypilot-volume.yaml")
    assert sky["volumes"] == {sky["envs"]["RUNS"]: volume["name"]}
    assert (ROOT / sky["workdir"] / sky["envs"]["RECIPE"]).is_file()


def test_both_languages_say_the_same() -> None:
    assert list(doc_twins.differences(*READMES)) == []
    for page in READMES:
        assert doc_twins.broken_links(page) == []


@pytest.mark.parametrize("page", [READMES[0], PAGES[0]], ids=["deploy", "how-to"])
def test_pages_name_every_manifest(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [path.name for path in MANIFESTS if path.name not in text] == []


def test_what_runs_leave_is_not_committed() -> None:
    made = ["runs/ratings/plan.json", "tunesmith-1.out", "tunesmith-1_2.out"]
    assert ignored(DEPLOY, made) == made


def test_every_manifest_has_its_schema() -> None:
    names = {path.name for path in manifests.SCHEMAS.iterdir()}
    assert names == set(VALIDATED.values())
    in_folder = {path for path in DEPLOY.rglob("*.yaml") if path.name != "recipe.yaml"}
    assert in_folder == set(VALIDATED)
