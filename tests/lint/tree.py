# SPDX-License-Identifier: Apache-2.0
"""What the checks share: which files make up the tree, and how findings are told."""

import os
import pathlib
import sys

SKIPPED = {"build", "__pycache__", "node_modules", "out", "corpus"}


def files(root, folders, suffixes):
    """All files below `folders` of `root` whose name ends with one of `suffixes`, in a fixed order."""
    found = []
    for folder in folders:
        for where, inner, names in os.walk(root / folder):
            inner[:] = sorted(n for n in inner if n not in SKIPPED and not n.startswith("."))
            found += [pathlib.Path(where, n) for n in sorted(names) if n.endswith(tuple(suffixes))]
    return found


def root_from_arguments():
    """The tree to check: the only argument, or the one that this script is in."""
    if len(sys.argv) > 1:
        return pathlib.Path(sys.argv[1]).resolve()
    return pathlib.Path(__file__).resolve().parents[2]


def report(findings):
    """Prints the findings, each "file:line: what", and gives the exit status."""
    for finding in findings:
        print(finding)
    return 1 if findings else 0
