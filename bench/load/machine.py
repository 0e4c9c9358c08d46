# SPDX-License-Identifier: Apache-2.0
"""What the figures were measured on."""
import datetime
import os
import platform
import re
import subprocess

import peers


def first_line(*command):
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError:
        return ""
    return next(iter((done.stdout + done.stderr).splitlines()), "")


def package(name):
    return first_line("dpkg-query", "-W", "-f=${Version}", name)


def cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
        return next((line.split(":")[1].strip() for line in info
                     if line.startswith("model name")), platform.machine())


def commit():
    done = first_line("git", "-C", str(peers.ROOT), "describe", "--always", "--dirty")
    return done or "no git"


def facts():
    """(name, value) pairs."""
    haproxy = re.search(r"version (\S+)", first_line(peers.binary_of("haproxy"), "-v"))
    return [("date", datetime.date.today().isoformat()),
            ("CPU", f"{cpu_model()}, {os.cpu_count()} cores"),
            ("busy before the run", f"{os.getloadavg()[0]:.2f} runnable"),
            ("kernel", f"{platform.system()} {platform.release()}"),
            ("Tidegate", commit()),
            ("nginx", first_line(peers.binary_of("nginx"), "-v").rpartition("/")[2]
             + ", Lua module " + package("libnginx-mod-http-lua")),
            ("HAProxy", haproxy[1] if haproxy else "?"),
            ("LuaJIT", package("libluajit2-5.1-2") or package("libluajit-5.1-2")),
            ("wrk", package("wrk"))]
