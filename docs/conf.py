"""The site: one Sphinx project for English (docs/), one for Chinese (docs/zh/, with `-t zh`).

`python -m docs.website` builds both. What Sphinx does not bring is in `docs/website/`.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from docs.website.languages import ENGLISH, language_of  # noqa: E402

LANGUAGE = language_of(tags)  # type: ignore[name-defined]  # noqa: F821 - Sphinx defines it

project = "Tunesmith"
author = "Tunesmith contributors"
html_title = project
project_copyright = author
language = LANGUAGE.sphinx
exclude_patterns = ["zh"] if LANGUAGE is ENGLISH else []
nitpicky = True
default_role = "name"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docs.website",
]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_mock_imports = ["ray"]
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
add_module_names = False

html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "logo": {"text": project},
    "navbar_align": "left",
    "navbar_center": ["navbar-nav"],
    "navbar_persistent": ["language", "search-button"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 8,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "search_bar_text": LANGUAGE.search,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {
    "**": ["sidebar-nav-bs"],
    **{page: [] for page in ("index", "start", "comparison", "platforms")},  # alone in a section
}
html_context = {"default_mode": "auto"}
templates_path = ["website/templates"]
html_static_path = ["website/static"]
html_css_files = ["site.css"]
html_js_files = ["copy.js", "offline.js"]
html_search_scorer = str(Path(__file__).parent / "website" / "scorer.js")
html_permalinks_icon = "#"
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
html_domain_indices = False
