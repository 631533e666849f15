"""Checks the documentation: local links and their anchors exist, no word stands twice, and code blocks name their language."""

import glob
import os
import re
import sys

from markdown_it import MarkdownIt

PAGES = sorted(glob.glob("*.md") + glob.glob("docs/**/*.md", recursive=True))
LANGUAGES = {"console", "json", "promql", "text", "yaml"}


def text_of(inline):
    """What a reader sees of a paragraph, without code."""
    return "".join(" " if child.type == "softbreak" else child.content for child in inline.children if child.type != "code_inline")


def anchor(heading):
    """The anchor that GitHub gives to a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.lower())
    return words.replace(" ", "-")


class Page:
    def __init__(self, path):
        self.path = path
        with open(path) as file:
            self.tokens = MarkdownIt().enable("table").parse(file.read())
        headings = [self.tokens[at + 1] for at, token in enumerate(self.tokens) if token.type == "heading_open"]
        self.anchors = {anchor("".join(child.content for child in heading.children)) for heading in headings}

    def inlines(self):
        return (token for token in self.tokens if token.type == "inline")


def broken_link(page, pages, target):
    """Why a link leads nowhere, if so. Those to other sites are only read."""
    if re.match(r"[a-z]+:", target):
        return None if target.startswith("https://") else "not https"
    path, _, fragment = target.partition("#")
    path = os.path.normpath(os.path.join(os.path.dirname(page.path), path)) if path else page.path
    if not os.path.exists(path):
        return "no such file"
    if fragment and path in pages and fragment not in pages[path].anchors:
        return "no such heading"
    return None


def problems(page, pages):
    for inline in page.inlines():
        line = inline.map[0] + 1
        for child in inline.children:
            target = child.attrs.get("href", child.attrs.get("src"))
            reason = target and broken_link(page, pages, target)
            if reason:
                yield line, f"{target}: {reason}"
        for twice in re.findall(r"\b(\w+) \1\b", text_of(inline), re.I):
            yield line, f"{twice!r} stands twice"
    for fence in (token for token in page.tokens if token.type == "fence"):
        if fence.info not in LANGUAGES:
            yield fence.map[0] + 1, f"a block of {fence.info!r}; one of {sorted(LANGUAGES)} says how it is checked"


def main():
    pages = {path: Page(path) for path in PAGES}
    found = [f"{path}:{line}: {problem}" for path, page in pages.items() for line, problem in problems(page, pages)]
    readme = sum(1 for _ in open("README.md"))
    if readme > 200:
        found.append(f"README.md: {readme} lines; at most 200, so move something to docs/")
    print("\n".join(found) or f"{len(pages)} pages are in order")
    sys.exit(bool(found))


main()
