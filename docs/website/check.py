"""Check built pages: every local link and anchor exists, and nothing is loaded from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["Page", "external_links", "problems", "read_pages"]

_LOADED = {
    ("audio", "src"), ("embed", "src"), ("iframe", "src"), ("img", "src"), ("img", "srcset"),
    ("input", "src"), ("link", "href"), ("object", "data"), ("script", "src"), ("source", "src"),
    ("source", "srcset"), ("track", "src"), ("video", "poster"), ("video", "src"),
}  # fmt: skip
"""Attributes from which a browser loads something without a click."""

_LINKS = {("a", "href"), ("area", "href"), ("form", "action")}

_NAMED_ONLY = {"alternate", "author", "canonical", "license", "next", "prev"}
"""Relations of `<link>` that a browser does not load."""

_IN_STYLES = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")


@dataclass
class Page(HTMLParser):
    """One page of the site: its anchors, its links, and what it loads."""

    path: Path
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the page."""
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect from one tag."""
        values = dict(attrs)
        self.anchors.update(values[name] or "" for name in ("id", "name") if name in values)
        is_loaded = tag != "link" or not _NAMED_ONLY.issuperset((values.get("rel") or "").split())
        for name, value in attrs:
            if value is None:
                continue
            if (tag, name) in _LINKS or ((tag, name) in _LOADED and not is_loaded):
                self.links.append(value)
            elif (tag, name) in _LOADED:
                srcset = name == "srcset"
                parts = [part.split()[0] for part in value.split(",")] if srcset else [value]
                self.loaded += parts
            elif name == "style":
                self.loaded += _in_styles(value)


def _in_styles(text: str) -> list[str]:
    return [match[1] or match[2] for match in _IN_STYLES.finditer(text)]


def read_pages(site: Path) -> dict[Path, Page]:
    """Return the pages of a built site by their files."""
    paths = (path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts)
    return {path: Page(path) for path in paths}


def problems(site: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """Yield a line for each broken link, missing anchor, and resource from elsewhere."""
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        for link in page.links:
            if not _is_remote(link) and (problem := _broken(link, path, pages)):
                yield f"{name}: {link}: {problem}"
        for link in page.loaded:
            if _is_remote(link):
                yield f"{name}: {link}: loaded from elsewhere"
            elif not link.startswith("data:") and (problem := _broken(link, path, pages)):
                yield f"{name}: {link}: {problem}"
    for path in sorted(site.rglob("*.css")):
        for link in _in_styles(path.read_text(encoding="utf-8")):
            if _is_remote(link):
                yield f"{path.relative_to(site).as_posix()}: {link}: loaded from elsewhere"


def external_links(pages: dict[Path, Page]) -> list[str]:
    """Return the addresses outside the site, sorted; they are not opened."""
    return sorted({link for page in pages.values() for link in page.links if _is_remote(link)})


def _is_remote(link: str) -> bool:
    return link.startswith("//") or urlsplit(link).scheme in ("http", "https", "mailto", "ftp")


def _broken(link: str, origin: Path, pages: dict[Path, Page]) -> str | None:
    """Return what is wrong with a local link."""
    parts = urlsplit(link)
    target = origin
    if parts.path:
        if parts.path.startswith("/"):
            return "it begins with a slash, and the site may be in any folder"
        target = Path(*_normal(origin.parent / unquote(parts.path)))
    if not target.is_file():
        return "no such file"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return "no such anchor"
    return None


def _normal(path: Path) -> tuple[str, ...]:
    """Return the parts of a path without `..`."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return tuple(parts)
