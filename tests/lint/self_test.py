#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that each check can fail: small bad trees, and what must be found in them, no more and no less."""

import pathlib
import subprocess
import sys
import tempfile

LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"
HERE = pathlib.Path(__file__).resolve().parent


def body(lines):
    return "".join(f"  use({i});\n" for i in range(lines))


# check: ({path: text}, [beginnings of what must be found, in order])
TREES = {
    "check_layers.py": (
        {
            "src/base/good.h": '#include <string>\n#include <fmt/format.h>\n#include <tl/expected.hpp>\n#include "base/other.h"\n',
            "src/base/up.h": '#include "http/headers.h"\n',
            "src/config/foreign.cc": '#include <yaml-cpp/yaml.h>\n#include <event2/event.h>\n#include <boost/asio.hpp>\n',
            "src/http/codec.cc": '#include "http/http1/parser.h"\n#include "net/loop.h"\n#include <sys/socket.h>\n',
            "src/http/http1/parser.cc": '#include "http/headers.h"\n#include "http/http2/frames.h"\n#include "headers.h"\n',
            "src/main.cc": '#include "server/server.h"\n#include <CLI/CLI.hpp>\n',
            "src/proxy/exchange.cc": '// #include "script/vm.h"\n  #  include "script/vm.h"\n#include "http/http1/parser.h"\n',
            "src/proxy/filters/gzip.cc": '#include "proxy/filter.h"\n',
            "src/script/vm.cc": '#include <lua.hpp>\n#include "embedded/script.h"\n#include "embedded/admin.h"\n',
            "src/utils/a.h": '#include "base/good.h"\n',
        },
        [
            "src/base/up.h:1: base is below http",
            "src/config/foreign.cc:2: <event2/event.h> belongs to net, not to config",
            "src/config/foreign.cc:3: <boost/asio.hpp> is of no library",
            "src/http/codec.cc:1: http may not include its part http/http1",
            "src/http/codec.cc:2: http and net are siblings",
            "src/http/codec.cc:3: <sys/socket.h> belongs to net, not to http",
            "src/http/http1/parser.cc:2: http/http1 and http/http2 are siblings",
            'src/http/http1/parser.cc:3: "headers.h" is not relative to src/',
            "src/proxy/exchange.cc:2: proxy is below script",
            'src/script/vm.cc:3: "embedded/admin.h" belongs to admin',
            "src/utils/a.h:1: utils is no layer",
        ],
    ),
    "check_size.py": (
        {
            "src/good.cc": LICENCE + "int f() {\n" + body(58) + "}\n// TODO(#12): later\n",
            "src/functions.cc": LICENCE
            + "namespace a {\nclass B {\n public:\n  B() : x_{1}, y_(2) {\n" + body(70) + "  }\n};\n"
            + "template <class T>\nstd::string g(T t) {\n" + body(70) + "}\n"
            + "auto h(int x) -> std::string {\n" + body(100) + "}\n"
            + 'const char* const kTable[] = {"{", R"(})",\n' + '"x",\n' * 120 + "};\n}\n",
            "src/long.cc": LICENCE + "int x;\n" * 500,
            "src/names.h": LICENCE + "class PoolManager {};\nstruct Pool {};\nclass SwimHelper;\n",
            "src/bare.h": "#pragma once\n\n" + LICENCE,
            "tests/loose.py": "# SPDX-License-Identifier: Apache-2.0\n# FIXME\ndef f():\n" + "    use()\n" * 100,
            "tests/fine.cc": LICENCE + "TEST_CASE(\"it's {\") {\n" + body(90) + "}\n" + "int x;\n" * 600,
        },
        [
            "src/bare.h:1: no line",
            "src/functions.cc:151: 102 lines, more than 100, in: auto h(int x) -> std::string",
            "src/long.cc:1: 501 lines, more than 500",
            "src/names.h:2: the name PoolManager says nothing",
            "tests/loose.py:2: a loose end",
            "tests/loose.py:3: 101 lines, more than 100, in: f",
            "src/functions.cc:5: 72 lines, more than 60, in: B() : x_{1}, y_(2)",
            # The head of a template begins on the line before its name.
            "src/functions.cc:78: 73 lines, more than 60, in: template <class T> std::string g(T t)",
            "src:0: 2 of 4 functions are over 60 lines",
        ],
    ),
    "check_docs.py": (
        {
            "README.md": "# A title: yes\nSee `src/base/arena.h`, `base/arena.h`, `arena.h`, `src/base/`, `/health` and `GET`.\n"
            "`src/base/gone.h` `gone.cc` `base/*.h` `base/*.txt` `./dev run` `./gone run`\n"
            "`SomeArena` `OtherArena` `Arena::copy` `Arena::paste()` `copy()` `request:paste(x)` `LuaJIT` `x-forwarded-for`\n"
            "[a](src/README.md) [b](#a-title-yes) [c](src/gone.md) [d](#other) [e](https://example.com/x)\n"
            "```\n`src/base/gone.h`\n```\n",
            "src/README.md": "# Source\n`Arena` `Bogus`\n",
            "scripts/README.md": "# Lua\n",
            "dev": "#!/bin/sh\n",
            "src/base/arena.h": "class SomeArena; class Arena { void copy(); };\n",
        },
        [
            "CHANGELOG.md:0: the document is missing",
            "README.md:3: there is no file src/base/gone.h",
            "README.md:3: there is no file gone.cc",
            "README.md:3: there is no file base/*.txt",
            "README.md:3: there is no file ./gone",
            "README.md:4: `OtherArena` names OtherArena",
            "README.md:4: `Arena::paste()` names paste",
            "README.md:4: `request:paste(x)` names request, paste",
            "README.md:5: the link src/gone.md leads nowhere",
            "README.md:5: the link #other leads to no heading",
            "src/README.md:2: `Bogus` names Bogus",
        ],
    ),
    "check_cases.py": (
        {
            "tests/CASES.md": "| case | what | tests |\n|---|---|---|\n| L1 | one | `a_test.py` |\n| L2 | two | `a_test.py` |\n"
            "| H1 | three | `b_test.cc` |\n| C1 | four |  |\n",
            "tests/a_test.py": "def test_l1_works():\n    pass\ndef test_o9_is_not_listed():\n    pass\n",
            "tests/b_test.cc": 'TEST_CASE("H1: works") {}\nTEST_CASE("L1: works") {}\n',
        },
        [
            "tests/CASES.md:3: case L1 has a test in b_test.cc",
            "tests/CASES.md:4: case L2 has no test",
            "tests/CASES.md:4: a_test.py has no test of case L2",
            "tests/CASES.md:6: case C1 has no test",
            "tests/CASES.md:0: a_test.py tests case O9",
        ],
    ),
}


def run(check, files):
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            target = pathlib.Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        done = subprocess.run([sys.executable, HERE / check, folder], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines(), done.stderr


def main():
    failed = False
    for check, (files, expected) in TREES.items():
        status, found, errors = run(check, files)
        same = len(found) == len(expected) and all(f.startswith(e) for f, e in zip(found, expected))
        if status == 1 and same and not errors:
            continue
        failed = True
        print(f"{check} gave status {status} and found\n  " + "\n  ".join(found) + f"\n{errors}", end="")
        print("  instead of\n  " + "\n  ".join(expected))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
