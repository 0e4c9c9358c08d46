# SPDX-License-Identifier: Apache-2.0
"""Finds the functions of a C++ file, well enough for code that clang-format has formatted."""

import re

NOISE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])*'|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*",
    re.DOTALL | re.MULTILINE)
TEMPLATE = re.compile(r"^(template\s*<[^{}]*?>\s*(requires[^{}]*?)?)+(?=class|struct|union|enum|[\w:])")
SCOPE = re.compile(r'^(inline\s+)?(namespace\b|extern\s*$|(typedef\s+)?(class|struct|union|enum)\b)')
MEMBER_INITIALISER = re.compile(r"\)[^;{}()]*(?<!:):(?!:).*[\w>]\s*$", re.DOTALL)
BODY_FOLLOWS = re.compile(r"(\)\s*((const|noexcept|override|final|mutable|try|&&?)\s*)*(->[^;{}]*)?)$")
INITIALISED = re.compile(r"\)[^;{}()]*(?<!:):(?!:).*\}$", re.DOTALL)
QUALIFIED = ("const", "noexcept", "override", "final")


def blank(match):
    """A comment or literal, replaced by nothing but its line ends."""
    return re.sub(r"[^\n]", " ", match.group())


def is_scope(head):
    return bool(SCOPE.match(TEMPLATE.sub("", head))) and not head.rstrip().endswith(")")


def close_of(text, start):
    """Position of the brace that closes the one at `start`."""
    depth = 0
    for match in re.compile(r"[{}]").finditer(text, start):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.start()
    return len(text)


def functions(code):
    """Yields (head, first line, number of lines) of every function that is not inside another."""
    text = NOISE.sub(blank, code)
    begin = 0  # where the current statement begins
    position = 0
    while position < len(text):
        char = text[position]
        if char in ";}":
            begin = position + 1
        elif char == ":" and re.search(r"\b(public|private|protected)\s*$", text[begin:position]):
            begin = position + 1
        elif char == "{":
            head = text[begin:position].strip()
            if is_scope(head):
                begin = position + 1
            else:
                end = close_of(text, position)
                if MEMBER_INITIALISER.search(head) and not head.endswith(QUALIFIED):
                    position = end + 1  # a brace among the member initialisers; the body follows
                    continue
                if BODY_FOLLOWS.search(head) or INITIALISED.search(head):
                    start = begin + len(text[begin:position]) - len(text[begin:position].lstrip())
                    first = text.count("\n", 0, start) + 1
                    yield " ".join(head.split()), first, text.count("\n", start, end) + 1
                position = end
                begin = end + 1
        position += 1
