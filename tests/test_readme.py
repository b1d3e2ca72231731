"""The READMEs and their pictures: nothing remote in them, and the figures that they name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from docs.pictures import speed, terminal
from docs.pictures.data import write_tickets
from docs.pictures.drawing import DARK, LIGHT, draw_terminal, read_terminal
from docs.pictures.screen import Run, Style, render

from tests.doc_outputs import agree, shown_outputs
from tests.doc_twins import DOCS, ROOT, ZH, code_blocks

READMES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh-CN.md"}
IMAGES = {"en": DOCS / "images", "zh": ZH / "images"}
DRAWN = [path for folder in IMAGES.values() for path in sorted(folder.glob("*.svg"))]
LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])


def pictures(page: Path) -> list[str]:
    return re.findall(r'(?:src|srcset)="([^"]+)"', page.read_text(encoding="utf-8"))


@LANGUAGES
def test_every_picture_is_there_light_and_dark(language: str) -> None:
    named = pictures(READMES[language])
    assert sorted(ROOT / name for name in named) == sorted(IMAGES[language].iterdir())
    for dark, light in zip(named[::2], named[1::2], strict=True):
        assert dark == light.replace("light", "dark") != light
    text = READMES[language].read_text(encoding="utf-8")
    least = 20 if language == "en" else 10
    assert (
        text.count("<picture>") == 3 == len(re.findall(rf'<img alt="[^"]{{{least},}}" src=', text))
    )
    media = re.findall(r'media="([^"]+)"', text)
    assert media[0] == f"(max-width: 600px) and {media[2]}"
    assert set(media[2:]) == {"(prefers-color-scheme: dark)"}


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: str(path.relative_to(DOCS)))
def test_drawings_are_text_and_need_nothing_else(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tags = {tag.tag.rpartition("}")[2] for tag in ElementTree.fromstring(text).iter()}
    assert "text" in tags
    assert tags <= {"svg", "rect", "circle", "line", "text", "tspan"}
    assert re.findall(r"https?:[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert "href" not in text and "url(" not in text and "@import" not in text
    assert path.stat().st_size < 30_000


@LANGUAGES
def test_photographs_are_sharp_and_small(language: str) -> None:
    for scheme in ("light", "dark"):
        data = (IMAGES[language] / f"report-{scheme}.png").read_bytes()
        assert data.startswith(b"\x89PNG")
        assert int.from_bytes(data[16:20]) == 1800  # pixels, of a page of half as many
        assert len(data) < 80_000


@LANGUAGES
def test_the_terminal_shows_the_run_that_the_page_continues(language: str) -> None:
    light, dark = (
        read_terminal(IMAGES[language] / f"terminal-{palette.name}.svg")
        for palette in (LIGHT, DARK)
    )
    assert light == dark
    shown = "\n".join(light)
    words = " ".join(shown.replace("\\\n", " ").split())
    assert words.startswith(f"$ {terminal.COMMAND}")
    code = next(block.code for block in code_blocks(READMES[language]) if block.kind == "python")
    for flag, argument in (("batch-size 32", "batch_size=32"), ("rate 3e-4", "learning_rate=3e-4")):
        assert flag in terminal.COMMAND and argument in code
    assert "train.epochs: 1" in shown and "epochs=1," in code  # the page follows this advice
    (test,) = re.findall(
        r"f1 +(0\.\d+)  (0\.\d+) \S+ (0\.\d+)  (0\.\d+) +(0\.\d+)$", tables(light)[1]
    )
    score, low, high, tfidf, majority = map(float, test)
    assert max(tfidf, majority) < low < score < high
    output = shown_outputs(READMES[language])[code]
    assert abs(float(output.split()[1]) - score) < 0.02


def tables(lines: list[str]) -> list[str]:
    """The lines of F1 of the score tables: of the validation and of the test rows."""
    return [line for line in lines if re.match(r"f1 +0\.", line)]


def test_all_terminals_show_the_same_scores() -> None:
    numbers = [
        re.findall(r"0\.\d{4}", "".join(read_terminal(folder / f"{name}-{palette.name}.svg")))
        for folder in IMAGES.values()
        for name in terminal.COLUMNS
        for palette in (LIGHT, DARK)
    ]
    assert len(numbers) == 8 and len(numbers[0]) > 20
    assert all(others == numbers[0] for others in numbers)


@LANGUAGES
def test_speed_is_that_of_the_results(language: str) -> None:
    results = json.loads((ROOT / "benchmarks" / "results" / "speed.json").read_text())
    text = READMES[language].read_text(encoding="utf-8")
    row = r"^\| ([A-Z][A-Z0-9-]+)[,，][^|]* (\d+) ((?:\| [\d.]+ ){4})\|$"
    rows = re.findall(row, text, re.MULTILINE)
    assert len(rows) == len(results)
    for data, batch, shown in rows:
        ratios = {one["name"]: one["ratio"] for one in results[f"{data}, batch {batch}"]["results"]}
        names = ("fast", "fast-bf16", "trainer-bf16", "trainer-by-length")
        assert shown.split()[1::2] == [f"{ratios[name]:.1f}" for name in names]
    chart = (IMAGES[language] / "speed-light.svg").read_text(encoding="utf-8")
    for rate, ratio in speed.figures().values():
        assert f">{rate:.0f} " in chart
        assert f">{ratio:.1f}×" in chart


@LANGUAGES
def test_the_comparison_is_the_short_one_of_its_page(language: str) -> None:
    page = (DOCS if language == "en" else ZH) / "comparison.md"
    up = "../" if language == "en" else "../../"
    cut = re.compile(r"<!-- short -->\n(.*)<!-- /short -->", re.DOTALL)
    own, whole = (cut.search(one.read_text(encoding="utf-8")) for one in (READMES[language], page))
    assert own and whole
    assert own[1] == whole[1].replace(f"]({up}", "](")
    assert own[1].count("\n") > 12


def test_a_screen_is_what_the_program_left_on_it() -> None:
    written = (
        "a\x1b[1;32mgood\x1b[0m b\r\nold\r\x1b[2Knew 打印机\r\nbar\x1b[?25l\x1b[1A\r\x1b[2Kend"
    )
    assert render(written, 9) == [
        [Run(0, "a"), Run(1, "good", Style(2, is_bold=True)), Run(5, " b")],
        [Run(0, "new 打印")],
        [Run(0, "end")],
        [Run(0, "bar")],
    ]
    assert render("\r\n\x1b[2mx\n\n", 9) == [[], [Run(0, "x", Style(is_dim=True))]]
    with pytest.raises(ValueError, match="5n"):
        render("\x1b[5n", 9)


def test_a_drawing_keeps_columns_and_escapes_texts(tmp_path: Path) -> None:
    lines = [[Run(0, "<f1>  0.9 & 打印机 x")], [], [Run(4, "bold", Style(1, is_bold=True))]]
    path = tmp_path / "terminal.svg"
    path.write_text(draw_terminal(lines, DARK, columns=30), encoding="utf-8")
    assert read_terminal(path) == ["<f1>  0.9 & 打印机 x", "", "    bold"]
    assert 'fill="#ff7b72" font-weight="600"' in path.read_text(encoding="utf-8")


@pytest.mark.slow
@LANGUAGES
def test_the_terminal_is_that_of_a_run(language: str, tmp_path: Path) -> None:
    write_tickets(tmp_path)
    path = tmp_path / "terminal.svg"
    columns = terminal.COLUMNS["terminal"]
    lines = terminal.train(tmp_path, language, columns)
    path.write_text(draw_terminal(lines, LIGHT, columns=columns), encoding="utf-8")
    shown, now = (
        "\n".join(re.sub(r"[\d.]+ (?=s,|rows/s|行|秒)", "# ", line) for line in read_terminal(one))
        for one in (IMAGES[language] / "terminal-light.svg", path)
    )
    assert agree(shown, now)
