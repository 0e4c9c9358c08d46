# SPDX-License-Identifier: Apache-2.0
"""A thousand reloads while requests pour in: none fails, and nothing grows."""
import http.client
import threading

import pytest

from support import Client, config_for, eventually, scaled
from support.proxy import MEASURES_MEMORY

RELOADS = 1000
SCRIPT = """
local generation = {}
for i = 1, 100 do generation[i] = ("x"):rep(i) end
function on_request(request)
  request.headers["x-generation"] = #generation
  if request.path == "/wait" then proxy.sleep(0.002) end
end
function on_response(response, request) response.headers["x-seen"] = "yes" end
"""


class Load(threading.Thread):
    """One client that asks without pause until told to stop."""

    def __init__(self, proxy, target):
        super().__init__(daemon=True)
        self.proxy, self.target, self.count, self.failure = proxy, target, 0, None
        self.stop = threading.Event()

    def run(self):
        try:
            with Client(self.proxy.port(), timeout=20) as client:
                while not self.stop.is_set():
                    response = client.get(self.target)
                    assert response.status == 200, response
                    assert response.headers.get("x-seen") == "yes", response
                    self.count += 1
        except Exception as failure:  # noqa: BLE001, reported by the test
            self.failure = failure


def reload_many(proxy, times):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port("admin"), timeout=scaled(10))
    for _ in range(times):
        connection.request("POST", "/policies/policy/reload")
        response = connection.getresponse()
        assert response.status == 200, response.read()
        response.read()
    connection.close()


@pytest.mark.slow
@pytest.mark.workers
@pytest.mark.parametrize("workers", [1, 4])
def test_a_thousand_reloads_under_load(origin, tidegate, workers):
    proxy = tidegate(config_for(origin, policies={"policy": "policy.lua"}, workers=workers,
                                log={"access": "off"}), {"policy.lua": SCRIPT})
    load = [Load(proxy, target) for target in ("/", "/", "/wait", "/wait")]
    for client in load:
        client.start()
    reloads = RELOADS if MEASURES_MEMORY else 100
    reload_many(proxy, 10)
    after_ten = proxy.memory_kib()
    reload_many(proxy, reloads - 10)
    after_all = proxy.memory_kib()
    eventually(lambda: all(client.count > 10 or client.failure for client in load))
    for client in load:
        client.stop.set()
    for client in load:
        client.join()
    assert [client.failure for client in load] == [None] * 4
    assert proxy.generation("policy") >= reloads
    if MEASURES_MEMORY:
        assert after_all - after_ten < 2048 + 1024 * workers, f"{after_ten} KiB grew to {after_all} KiB"
