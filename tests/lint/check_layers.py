#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Folders of src/ are layers: includes point downward only, and each foreign library stays in its place.

A folder may include itself and any folder in a row below its own; folders of one row never include
each other. A folder inside another (http/http1, proxy/filters) stands between its parent and the row
above: it may include the parent, the parent does not include it.
"""

import re
import sys

import tree

# Lowest first.
ROWS = [
    ["base"],
    ["net", "http", "config", "telemetry", "store"],
    ["upstream"],
    ["proxy"],
    ["script", "jobs"],
    ["admin"],
    ["server"],
    ["main.cc"],
]
ROW_OF = {folder: row for row, folders in enumerate(ROWS) for folder in folders}
NESTED = {"http/http1", "http/http2", "proxy/filters", "script/lua"}

# Where the headers of a foreign library may be included. nlohmann-json is a value type in config
# (options), telemetry, script (proxy.json) and admin (answers): wherever JSON is read or written.
FOREIGN = {
    r"fmt/": None,  # anywhere
    r"tl/": {"base"},
    r"spdlog/": {"telemetry"},
    r"prometheus/": {"telemetry"},
    r"protozero/": {"telemetry"},
    r"event2/": {"net"},
    r"openssl/": {"net"},
    r"ares": {"net"},
    r"nghttp2/": {"http/http2"},
    r"yaml-cpp/": {"config"},
    r"nlohmann/": {"config", "telemetry", "script", "admin"},
    r"(lua\.hpp|lua\.h|lualib\.h|lauxlib\.h|luajit\.h)$": {"script"},
    r"re2/": {"script"},
    r"sqlite3\.h$": {"jobs"},
    r"hiredis/": {"store"},
    r"CLI/": {"server", "main.cc"},
    # The system's sockets: codecs and policies work without them.
    r"(sys/socket\.h|sys/un\.h|netdb\.h|netinet/.*)$": {"net"},
}
# C and POSIX headers that any folder may use, and all of C++ (which have no dot).
SYSTEM = re.compile(
    r"^([a-z_]+|(assert|errno|fcntl|limits|malloc|poll|pthread|sched|signal|stdint|stdio|stdlib|string|time|unistd|dirent|"
    r"ucontext|execinfo)\.h|sys/[a-z]+\.h|arpa/inet\.h|linux/[a-z_]+\.h|[a-z0-9]+intrin\.h|cxxabi\.h)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def folder_of(path):
    """The layer folder of a path relative to src/: "base", "http/http1", "main.cc"."""
    parts = path.split("/")
    if "/".join(parts[:2]) in NESTED and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0]


def edge_problem(here, there):
    """Why `here` may not include from `there`; None if it may."""
    top_here, top_there = here.split("/")[0], there.split("/")[0]
    if top_here not in ROW_OF or top_there not in ROW_OF:
        return f"{there if top_here in ROW_OF else here} is no layer"
    if here == there or here.startswith(there + "/"):
        return None
    if top_here == top_there:
        return f"{here} may not include its part {there}" if there.startswith(here + "/") else (
            f"{here} and {there} are siblings")
    if ROW_OF[top_here] == ROW_OF[top_there]:
        return f"{here} and {there} are siblings"
    if ROW_OF[top_here] < ROW_OF[top_there]:
        return f"{here} is below {there}"
    return None


def foreign_problem(here, header):
    for pattern, allowed in FOREIGN.items():
        if not re.match(pattern, header):
            continue
        if allowed is None or here in allowed:
            return None
        return f"<{header}> belongs to {' and '.join(sorted(allowed))}, not to {here}"
    return None if SYSTEM.match(header) else f"<{header}> is of no library that check_layers.py knows"


def check(root):
    findings = []
    source = root / "src"
    for path in tree.files(root, ["src"], [".h", ".cc"]):
        here = folder_of(path.relative_to(source).as_posix())
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            kind, header = match.groups()
            if kind == "<":
                problem = foreign_problem(here, header)
            elif header.startswith("embedded/"):
                owner = header.removeprefix("embedded/").removesuffix(".h")  # made by cmake/embed.cmake
                problem = None if owner == here else f'"{header}" belongs to {owner}'
            elif "/" not in header:
                problem = f'"{header}" is not relative to src/'
            else:
                problem = edge_problem(here, folder_of(header))
            if problem:
                findings.append(f"{path.relative_to(root)}:{number}: {problem}")
    return findings


if __name__ == "__main__":
    sys.exit(tree.report(check(tree.root_from_arguments())))
