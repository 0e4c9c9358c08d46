#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the documents name exists: paths, identifiers, functions, links.

Looked at are spans in back-ticks outside code blocks. A span is a path if it has a folder of the tree or
a source file's ending; an identifier if it is CamelCase, has "::", or ends with "()"; all else is left
alone. In src/README.md a capitalised word counts as a type too.
"""

import re
import sys

import tree

DOCUMENTS = ["README.md", "src/README.md", "scripts/README.md", "CHANGELOG.md"]
MORE_DOCUMENTS = ["examples/*/README.md", "bench/README.md", "docker/README.md", "examples/README.md"]
ENDINGS = (".h", ".cc", ".lua", ".py", ".cmake", ".md")
CODE = [".h", ".cc", ".lua", ".py", "dev"]

FENCE = re.compile(r"^\s*(```|~~~)")
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"^(?:\./)?[\w.*-]+(?:/[\w.*-]+)*/?$")
CAMEL = re.compile(r"^[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+$")
QUALIFIED = re.compile(r"^~?\w+(?:::~?\w+)+$")
CALL = re.compile(r"^([\w.:~]+)\s*\(.*\)$")
# Names of other projects that look like types.
FOREIGN_NAMES = {"LuaJIT", "OpenResty", "GitHub", "WebSocket"}


def prose(path):
    """(line number, line) outside code blocks."""
    fenced = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(path):
    """The anchors that a forge makes of the headings."""
    found = set()
    for _, line in prose(path):
        if line.startswith("#"):
            title = line.lstrip("#").strip().lower()
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


class Names:
    """What there is to be named."""

    def __init__(self, root):
        self.root = root
        top = [p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")]
        self.folders = {name for name in top if name not in tree.SKIPPED}
        self.layers = {p.name for p in (root / "src").iterdir() if p.is_dir()} if (root / "src").is_dir() else set()
        sources = tree.files(root, ["src", "scripts"], CODE)
        everything = tree.files(root, sorted(self.folders), [""])
        self.words = set(re.findall(r"\w+", "\n".join(p.read_text(errors="replace") for p in sources)))
        self.file_names = {p.name for p in everything} | {p.name for p in root.iterdir()}

    def has_path(self, document, text):
        text = text.removeprefix("./").rstrip("/")
        for base in (self.root, document.parent, self.root / "src"):
            if any(base.glob(text)) if "*" in text else (base / text).exists():
                return True
        return "/" not in text and text in self.file_names

    def is_path(self, text):
        if not PATH.match(text):
            return False
        first = text.removeprefix("./").split("/")[0]
        if "/" in text.rstrip("/") or text.endswith("/"):
            return text.startswith("./") or first in self.folders or first in self.layers
        return text.endswith(ENDINGS)


def span_problem(span, document, names):
    text = span.strip()
    if text.startswith("./"):
        text = text.split()[0]
    if names.is_path(text):
        return None if names.has_path(document, text) else f"there is no file {text}"
    if text in FOREIGN_NAMES:
        return None
    call = CALL.match(text)
    if call:
        text = call.group(1)
    is_type = document.parent.name == "src" and re.match(r"^[A-Z][a-z]+$", text)
    if not (call or is_type or CAMEL.match(text) or QUALIFIED.match(text)):
        return None
    missing = [word for word in re.findall(r"\w+", text) if word not in names.words]
    return f"`{span}` names {', '.join(missing)}, which is not in src/ or scripts/" if missing else None


def link_problem(target, document):
    if re.match(r"^[a-z]+:", target):
        return None
    file_part, _, anchor = target.partition("#")
    linked = (document.parent / file_part).resolve() if file_part else document
    if not linked.exists():
        return f"the link {target} leads nowhere"
    if anchor and linked.suffix == ".md" and anchor not in anchors(linked):
        return f"the link {target} leads to no heading"
    return None


def check(root):
    findings = [f"{name}:0: the document is missing" for name in DOCUMENTS if not (root / name).exists()]
    documents = [root / name for name in DOCUMENTS if (root / name).exists()]
    for pattern in MORE_DOCUMENTS:
        documents += sorted(root.glob(pattern))
    names = Names(root)
    for document in documents:
        for number, line in prose(document):
            problems = [span_problem(span, document, names) for span in SPAN.findall(line)]
            problems += [link_problem(target, document) for target in LINK.findall(SPAN.sub("", line))]
            findings += [f"{document.relative_to(root)}:{number}: {p}" for p in problems if p]
    return findings


if __name__ == "__main__":
    sys.exit(tree.report(check(tree.root_from_arguments())))
