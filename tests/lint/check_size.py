#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Form and size: short functions and files, a licence line in each file, no loose ends, no empty names."""

import ast
import re
import sys

import functions
import tree

MAX_FUNCTION = 100
LONG_FUNCTION = 60
LONG_SHARE = 0.015  # of the functions of src/
MAX_FILE = {"src": 500, "tests": 800, "bench": 800, "scripts": 500, "examples": 500, "cmake": 500}
CODE = [".h", ".cc", ".py", ".lua", ".cmake", "CMakeLists.txt"]
LICENCE = "SPDX-License-Identifier: Apache-2.0"
LOOSE_END = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
EMPTY_NAME = re.compile(r"\b(?:class|struct|enum class)\s+(\w*(?:Manager|Helper|Helpers|Util|Utils|Impl))\b(?!;)")


def check_lines(path, name, lines, limit):
    findings = []
    if len(lines) > limit:
        findings.append(f"{name}:1: {len(lines)} lines, more than {limit}")
    if not any(LICENCE in line for line in lines[:2]):
        findings.append(f"{name}:1: no line '{LICENCE}' at the top")
    if path.parent.name == "lint":
        return findings  # these files speak of what they forbid
    for number, line in enumerate(lines, 1):
        if LOOSE_END.search(line):
            findings.append(f"{name}:{number}: a loose end without its issue, as in TODO(#12)")
        match = EMPTY_NAME.search(line) if path.suffix in (".h", ".cc") else None
        if match:
            findings.append(f"{name}:{number}: the name {match.group(1)} says nothing")
    return findings


def python_functions(code):
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def functions_of(path, code):
    if path.suffix in (".h", ".cc"):
        return list(functions.functions(code))
    return list(python_functions(code)) if path.suffix == ".py" else []


def check(root):
    findings = []
    count = 0
    long_ones = []
    for folder, limit in MAX_FILE.items():
        for path in tree.files(root, [folder], CODE):
            code = path.read_text()
            name = path.relative_to(root).as_posix()
            findings += check_lines(path, name, code.splitlines(), limit)
            for head, line, length in functions_of(path, code):
                count += folder == "src"
                if length > MAX_FUNCTION:
                    findings.append(f"{name}:{line}: {length} lines, more than {MAX_FUNCTION}, in: {head[:70]}")
                elif length > LONG_FUNCTION and folder == "src":
                    long_ones.append(f"{name}:{line}: {length} lines, more than {LONG_FUNCTION}, in: {head[:70]}")
    # A single long function is no pattern, however few there are in all.
    if len(long_ones) > max(1, LONG_SHARE * count):
        findings += long_ones
        findings.append(f"src:0: {len(long_ones)} of {count} functions are over {LONG_FUNCTION} lines, "
                        f"more than {LONG_SHARE:.1%}")
    return findings


if __name__ == "__main__":
    sys.exit(tree.report(check(tree.root_from_arguments())))
