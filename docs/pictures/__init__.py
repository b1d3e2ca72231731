"""Draw the pictures of README and docs from real runs: `python -m docs.pictures [NAME ...]`.

`terminal`  what `tunesmith train` prints, recorded on a pseudo-terminal, as SVG
`report`    a section of the report of the same run, photographed with Chromium, as PNG
`speed`     the bars of `benchmarks/results/speed.json`, as SVG

Each is made light and dark, in English for `docs/images/` and in Chinese for `docs/zh/images/`. No
figure is edited by hand: tests compare what the pictures say with the pages and, the slow ones,
with a run.
"""
