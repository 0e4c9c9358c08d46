# SPDX-License-Identifier: Apache-2.0
"""Every policy in scripts/ does what its _test.lua says, with real requests through the real proxy.

A NAME_test.lua gives a list of cases as plain data (scripts/README.md has the words). It is read by
Tidegate itself, in the sandbox that policies run in; then one proxy is started with a policy per case,
and each case's request goes through it. A case that is `refused` goes to `tidegate check`."""
import json
import shutil

import pytest

from support import config_for, run_tidegate
from support.clock import ROOT

SCRIPTS = ROOT / "scripts"
TESTS = sorted(SCRIPTS.rglob("*_test.lua"))
KEYS = {"name", "policy", "options", "env", "request", "reply", "response", "origin", "refused"}
READER = 'function on_request(request) request:reply(200, proxy.json.encode(require("%s"))) end'


@pytest.fixture
def cases(tidegate):
    """The cases of one _test.lua."""
    def read(test):
        module = test.relative_to(SCRIPTS).with_suffix("").as_posix()
        proxy = tidegate(config_for(route={"echo": True}, policies={"reader": "reader.lua"}),
                         {"reader.lua": READER % module,
                          f"{module}.lua": test.read_text(encoding="utf-8")})
        answer = proxy.get("/")
        assert answer.status == 200, proxy.account()
        found = json.loads(answer.body)
        assert found, f"{test.name} has no cases"
        for case in found:
            assert "name" in case and not set(case) - KEYS, case
            assert set(case) & {"response", "origin", "refused"}, f"{case['name']}: expects nothing"
        return found
    return read


def script_of(case, test, folder):
    """Path of the script a case is about; an inline policy is written to `folder`."""
    if "policy" not in case:
        return str(folder / "scripts" / test.name.replace("_test.lua", ".lua"))
    path = folder / f"case-{abs(hash(case['policy']))}" / "policy.lua"
    path.parent.mkdir(exist_ok=True)
    path.write_text(case["policy"], encoding="utf-8")
    if not (path.parent / "scripts").exists():
        (path.parent / "scripts").symlink_to(folder / "scripts")
    return str(path)


def policy_of(case, test, folder):
    return {"script": script_of(case, test, folder), "options": case.get("options") or {},
            "env": sorted(case.get("env") or {})}


def pairs(headers):
    return [(name, value) for name, values in (headers or {}).items()
            for value in (values if isinstance(values, list) else [values])]


def differences(what, expected, headers):
    for name, value in (expected or {}).items():
        wanted = [] if value is False else value if isinstance(value, list) else [value]
        if headers.all(name) != wanted:
            yield f"{what} header {name}: {headers.all(name)}, not {wanted}"


class Bench:
    """One proxy with a route and a policy per case, chosen by the header x-case, and an origin for
    every cluster that some case names."""

    def __init__(self, cases, test, folder, make_origin, protocol):
        self.cases = cases
        names = {"default"} | {(case.get("origin") or {}).get("name", "default") for case in cases}
        self.origins = {name: make_origin(name).otherwise(self.reply) for name in names}
        self.env = {}
        for case in cases:
            for name, value in (case.get("env") or {}).items():
                assert self.env.setdefault(name, value) == value, f"{name} differs between cases"
        self.config = config_for(
            routes=[{"match": {"headers": {"x-case": str(i)}}, "cluster": "default",
                     "policies": [f"case-{i}"]} for i in range(len(cases))],
            listener={"trusted_proxies": ["127.0.0.0/8"]},
            clusters={name: {"endpoints": [origin.url], "protocol": protocol} for name, origin in self.origins.items()},
            policies={f"case-{i}": policy_of(case, test, folder) for i, case in enumerate(cases)})

    def reply(self, exchange):
        case = self.cases[int(exchange.request.headers.get("x-case"))]
        reply = case.get("reply") or {}
        exchange.reply(reply.get("status", 200), reply.get("body", ""), pairs(reply.get("headers")))

    def run(self, client, number, case):
        """What differs from what the case says."""
        request = case.get("request") or {}
        headers = [("x-case", str(number)), *pairs(request.get("headers"))]
        if "host" in request:
            headers.append(("host", request["host"]))
        if "client_ip" in request:
            headers.append(("x-forwarded-for", request["client_ip"]))
        seen = {name: len(origin.requests) for name, origin in self.origins.items()}
        answer = client.request(request.get("method", "GET"), request.get("path", "/"), headers,
                                request.get("body", "").encode() or None)
        reached = {name: origin.requests[seen[name]:] for name, origin in self.origins.items()
                   if origin.requests[seen[name]:]}
        yield from self.compare_response(case.get("response") or {}, answer)
        yield from self.compare_origin(case.get("origin"), reached)

    @staticmethod
    def compare_response(expected, answer):
        if answer.status != expected.get("status", answer.status):
            yield f"status {answer.status}, not {expected['status']}"
        if answer.text != expected.get("body", answer.text):
            yield f"body {answer.text!r}, not {expected['body']!r}"
        yield from differences("response", expected.get("headers"), answer.headers)

    @staticmethod
    def compare_origin(expected, reached):
        if expected is None:
            return
        name = expected.get("name", "default") if expected else None
        if set(reached) != ({name} if expected else set()):
            yield f"reached {sorted(reached) or 'no origin'}, not {name or 'none'}"
            return
        if not expected:
            return
        request = reached[name][0]
        for key, value in (("path", request.target), ("host", request.headers.get("host")),
                           ("method", request.method)):
            if value != expected.get(key, value):
                yield f"origin saw {key} {value!r}, not {expected[key]!r}"
        yield from differences("origin's request", expected.get("headers"), request.headers)


def refusal_problem(case, test, folder):
    config = folder / "refused.yaml"
    config.write_text(json.dumps(config_for(route={"echo": True},
                                            policies={"case": policy_of(case, test, folder)})))
    done = run_tidegate("check", "--config", config, env=case.get("env") or None)
    if done.returncode == 2 and case["refused"] in done.stderr:
        return None
    return f"not refused as expected: exit {done.returncode}, {done.stderr!r}"


@pytest.fixture
def problems(world, make_origin, connect, tidegate, tmp_path):
    """What differs from what the cases of a test say, with the scripts of this folder."""
    def find(cases, test, scripts=SCRIPTS):
        shutil.copytree(scripts, tmp_path / "scripts")
        found = [(case, refusal_problem(case, test, tmp_path)) for case in cases if "refused" in case]
        served = [case for case in cases if "refused" not in case]
        bench = Bench(served, test, tmp_path, make_origin, world.rpartition("-")[2])
        proxy = tidegate(bench.config, env=bench.env)
        for number, case in enumerate(served):
            found += [(case, problem) for problem in bench.run(connect(proxy), number, case)]
        return [f"{test.name}: {case['name']}: {problem}" for case, problem in found if problem]
    return find


@pytest.mark.parametrize("world", ["h1-h1", "h2-h2"], indirect=True)
@pytest.mark.parametrize("test", TESTS, ids=lambda path: path.stem)
def test_a_shipped_policy_does_what_its_test_says(test, cases, problems):
    found = problems(cases(test), test)
    assert not found, "\n".join(found)


def test_every_shipped_script_has_a_test():
    scripts = [path for path in SCRIPTS.rglob("*.lua")
               if not path.name.endswith("_test.lua") and path.parent.name != "types"]
    missing = [path.name for path in scripts if path.with_name(path.stem + "_test.lua") not in TESTS]
    assert scripts and not missing


def test_a_wrong_policy_is_noticed(cases, problems, tmp_path):
    """The runner fails when a policy does not do what its cases say."""
    broken = tmp_path / "broken"
    shutil.copytree(SCRIPTS, broken)
    (broken / "allowlist.lua").write_text("function on_request() end\n", encoding="utf-8")
    test = SCRIPTS / "allowlist_test.lua"
    found = "\n".join(problems(cases(test), test, broken))
    assert "is refused, and the origin never asked: status 200, not 403" in found
    assert "an option that does not exist is refused: not refused as expected" in found
