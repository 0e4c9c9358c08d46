#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each case of tests/CASES.md is a test by its number, in the files that the table names, and no test has a number
that the table does not know.

A pytest function is named `test_l5_...`, a doctest case "L5: ...", and a comment "Case L5" marks a test that has
another name.
"""

import re
import sys

import tree

TABLE = "tests/CASES.md"
ROW = re.compile(r"^\| ([LCHO]\d+) \| (.+?) \|(.*)\|$")
NAMES = [
    re.compile(r"\bdef test_([lcho]\d+)(?=_)"),
    re.compile(r'\bTEST_CASE(?:_FIXTURE)?\([^"]*"([LCHO]\d+)(?=[ :])'),
    re.compile(r"\bCase ([LCHO]\d+)\b"),
]


def numbered_tests(root):
    """{number: {file, ...}} of all tests that carry the number of a case."""
    found = {}
    for path in tree.files(root, ["tests"], [".py", ".cc"]):
        if path.parent.name == "lint":
            continue
        text = path.read_text()
        for pattern in NAMES:
            for number in pattern.findall(text):
                found.setdefault(number.upper(), set()).add(path.relative_to(root / "tests").as_posix())
    return found


def check(root):
    findings = []
    found = numbered_tests(root)
    listed = {}
    for line_number, line in enumerate((root / TABLE).read_text().splitlines(), 1):
        row = ROW.match(line)
        if row:
            listed[row[1]] = line_number, set(re.findall(r"`([^`]+)`", row[3]))
    for number, (line_number, files) in listed.items():
        have = found.get(number, set())
        if not have:
            findings.append(f"{TABLE}:{line_number}: case {number} has no test")
        for path in sorted(files - have):
            findings.append(f"{TABLE}:{line_number}: {path} has no test of case {number}")
        for path in sorted(have - files):
            findings.append(f"{TABLE}:{line_number}: case {number} has a test in {path} that the table does not name")
    for number in sorted(set(found) - set(listed)):
        findings.append(f"{TABLE}:0: {sorted(found[number])[0]} tests case {number}, which the table does not have")
    return findings


if __name__ == "__main__":
    sys.exit(tree.report(check(tree.root_from_arguments())))
