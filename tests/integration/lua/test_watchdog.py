# SPDX-License-Identifier: Apache-2.0
"""The thread that watches scripts' CPU time rests while none runs, and is there when one does."""
import pathlib
import time

from support import eventually


def wakeups(proxy):
    """How often threads other than the first have gone to sleep, all together."""
    total = 0
    for task in pathlib.Path(f"/proc/{proxy.process.pid}/task").iterdir():
        if int(task.name) != proxy.process.pid:
            text = (task / "status").read_text(encoding="ascii")
            total += int(text.split("voluntary_ctxt_switches:")[1].split()[0])
    return total


def rests(proxy):
    before = wakeups(proxy)
    time.sleep(0.2)  # the span that is measured; a watchdog at work wakes forty times in it
    return wakeups(proxy) - before < 10


def test_nothing_wakes_up_while_no_script_runs(scripted, connect):
    proxy = scripted("function on_request(r) r:reply(200, 'fine') end", config={"route": {"echo": True}})
    assert connect(proxy).get("/").text == "fine"
    eventually(lambda: rests(proxy), what="the proxy rests")


def test_a_runaway_script_after_a_rest_is_stopped(scripted, connect):
    proxy = scripted("function on_request(r) while r.path == '/loop' do end r:reply(200, 'fine') end",
                     config={"route": {"echo": True}})
    for _ in range(3):
        eventually(lambda: rests(proxy), what="the proxy rests")
        assert connect(proxy).get("/loop").status == 500
        assert connect(proxy).get("/").text == "fine"
    assert {line["error"] for line in proxy.access_lines if line["status"] == 500} == {"script_cpu"}
