"""Each line of the guide to clusters has its proof, and each proof exists."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("fcntl")  # the faults suite is made of forks and signals

from tests.deploy.claims import CLAIMS
from tests.deploy.manifests import ROOT
from tests.faults import all_cases

PAGE = ROOT / "docs" / "how-to" / "clusters.md"


def lines_of(text: str) -> list[str]:
    """Paragraphs, items and rows of a page; headings, heads of tables and commands say nothing."""
    blocks: list[str] = [""]
    is_command = False
    for line in text.splitlines():
        if line.startswith("```"):
            is_command = not is_command
        if line.startswith("|---"):
            blocks.pop()  # the row above is the head
        if is_command or not line.strip() or line.startswith(("```", "#", "<!--", "|---")):
            blocks.append("")
        elif line.startswith(("* ", "|")):
            blocks.append(line)
        else:
            blocks[-1] = f"{blocks[-1]} {line}".strip()
    return [block for block in blocks if block]


def test_every_line_has_a_proof() -> None:
    lines = lines_of(PAGE.read_text(encoding="utf-8"))
    assert len(lines) > 40
    words = [claim for claim, _proofs in CLAIMS]
    assert [line for line in lines if not any(claim in line for claim in words)] == []
    assert [claim for claim in words if sum(claim in line for line in lines) != 1] == []


@pytest.mark.parametrize(
    "proofs", [proofs for _claim, proofs in CLAIMS], ids=[c for c, _ in CLAIMS]
)
def test_every_proof_exists(proofs: tuple[str, ...]) -> None:
    assert proofs
    for proof in proofs:
        if match := re.fullmatch(r"faults (\w+): (.+)", proof):
            assert any(match[2] in case.name for _kind, case in all_cases(match[1])), proof
        elif not proof.startswith("reviewed: "):
            file, _colons, name = proof.partition("::")
            text = (ROOT / file).read_text(encoding="utf-8")
            assert re.search(rf"^def {name}\(", text, re.MULTILINE), proof
