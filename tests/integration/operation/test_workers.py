# SPDX-License-Identifier: Apache-2.0
"""Several workers: everything at once, which is what ThreadSanitizer looks at."""
import threading

import pytest

from support import Client, config_for, eventually, scaled

pytestmark = pytest.mark.workers
SCRIPT = """
local count = 0
function on_request(request)
  count = count + 1
  request.headers["x-worker"] = proxy.worker
  if request.path == "/sleep" then proxy.sleep(0.005) end
  if request.path == "/fail" then error("on purpose") end
end
function select_backend(request, cluster)
  local best
  for _, endpoint in ipairs(cluster.endpoints) do
    if not best or endpoint.active < best.active then best = endpoint end
  end
  return best
end
function on_response(response, request) response.headers["x-path"] = request.path end
function on_log(request, response) proxy.log.debug("logged") end
"""
PATHS = {"/": 200, "/sleep": 200, "/fail": 500, "/local": 200}


@pytest.fixture
def busy(make_origin, tidegate):
    origins = [make_origin(name) for name in "ab"]
    config = config_for(*origins, policies={"policy": "policy.lua"}, workers=4,
                        routes=[{"match": {"path": "/local"}, "respond": {"status": 200, "body": "x"}}])
    return tidegate(config, {"policy.lua": SCRIPT}), origins


def hammer(proxy, rounds, failures):
    try:
        for _ in range(rounds):
            with Client(proxy.port(), timeout=20) as client:
                for path, status in PATHS.items():
                    assert client.get(path).status == status, path
    except Exception as error:  # noqa: BLE001, reported by the test
        failures.append(error)


def run_all(targets):
    threads = [threading.Thread(target=target, args=args) for target, *args in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(60))


def test_requests_on_all_workers_are_served(busy):
    proxy, origins = busy
    failures = []
    run_all([(hammer, proxy, 10, failures)] * 6)
    assert not failures, failures
    workers = {request.headers.get("x-worker") for origin in origins for request in origin.requests}
    assert len(workers) > 1, "more than one worker took part"
    assert proxy.status() and len(proxy.wait_for_access(count=240)) == 240
    metrics = proxy.metrics()
    assert metrics("proxy_requests_total") == 240
    assert metrics("proxy_workers") == 4
    eventually(lambda: proxy.metrics()("proxy_requests_active") == 0)


def test_scrapes_reloads_and_requests_at_once(busy):
    proxy, _ = busy
    failures = []

    def scrape():
        try:
            for _ in range(15):
                proxy.metrics()
                proxy.status()
                assert proxy.admin("/policies").status == 200
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    def reload():
        try:
            for _ in range(15):
                assert proxy.admin("/policies/policy/reload", "POST").status == 200
        except Exception as error:  # noqa: BLE001
            failures.append(error)
    run_all([(hammer, proxy, 10, failures)] * 4 + [(scrape,), (reload,)])
    assert not failures, failures


def test_a_wild_script_on_every_worker(tidegate):
    proxy = tidegate(config_for(policies={"policy": "policy.lua"}, workers=4, route={"echo": True}),
                     {"policy.lua": "function on_request(r) if r.path == '/wild' then while true do end end end"})
    failures = []

    def wild():
        try:
            for _ in range(5):
                with Client(proxy.port(), timeout=20) as client:
                    assert client.get("/wild").status == 500
                    assert client.get("/tame").status == 200
        except Exception as error:  # noqa: BLE001
            failures.append(error)
    run_all([(wild,)] * 6)
    assert not failures, failures


def test_a_limit_on_connections_holds_over_all_workers(origin, tidegate):
    proxy = tidegate(config_for(origin, workers=4, listener={"max_connections": 5}))
    clients = [proxy.client() for _ in range(5)]
    assert [client.get("/").status for client in clients] == [200] * 5
    for client in clients:
        client.close()

    def back():
        try:
            return proxy.get("/").status == 200
        except Exception:  # noqa: BLE001, the five may not be gone yet
            return False
    eventually(back)
