# SPDX-License-Identifier: Apache-2.0
"""The command line: run, check, schema, reference, version, and running from the environment alone."""
import json
import re
import socket

import pytest

from support import Client, Proxy, config_for, run_tidegate
from support.config import as_yaml


@pytest.fixture
def written(tmp_path):
    """Writes files into the test's folder: `written(name=text)`; gives the folder."""
    def write(**files):
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text, encoding="utf-8")
        return tmp_path
    return write


def check(folder, env=None):
    return run_tidegate("check", "--config", folder / "tidegate.yaml", env=env)


def test_version_is_printed():
    done = run_tidegate("version")
    assert done.returncode == 0
    assert re.match(r"tidegate \d+\.\d+\.\d+", done.stdout)


def test_wrong_usage_is_exit_2():
    for arguments in (["nonsense"], ["run", "--nonsense"], ["check", "--config"]):
        done = run_tidegate(*arguments)
        assert done.returncode == 2, arguments
        assert done.stderr


def test_a_misspelled_hook_is_refused_by_check_and_run(written):
    folder = written(p__lua="function on_log() end\n\nfunction on_requst(r) r:reply(403) end")
    for command, status in ("check", 2), ("run", 1):
        done = run_tidegate(command, "--policy", folder / "p.lua", "--upstream", "http://127.0.0.1:1")
        assert done.returncode == status
        assert "p.lua:3: 'on_requst' is no hook; did you mean 'on_request'?" in done.stderr


def test_help_is_exit_0():
    done = run_tidegate("--help")
    assert done.returncode == 0 and "check" in done.stdout


def test_a_good_config_passes(written):
    folder = written(tidegate__yaml=as_yaml(config_for(policies={"p": "p.lua"}, route={"echo": True})),
                     p__lua="function on_request() end")
    done = check(folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_all_errors_are_told_at_once_with_file_and_line(written):
    folder = written(tidegate__yaml="""\
workers: many
listeners:
  - name: public
    address: 127.0.0.1:99999
    idle_timeuot: 5s
clusters:
  users:
    endpoints: [ftp://x]
routes:
  - match: { path: nope }
    cluster: nowhere
""")
    done = check(folder)
    assert done.returncode == 2
    lines = {int(n) for n in re.findall(r"tidegate\.yaml:(\d+)", done.stderr)}
    assert {1, 4, 5, 8, 10, 11} <= lines, done.stderr
    assert "idle_timeout" in done.stderr, "the nearest known key is named"
    assert "nowhere" in done.stderr


def test_a_key_that_is_not_built_yet_is_refused(written):
    config = as_yaml(config_for("http://127.0.0.1:1", tracing={"sample": "10%"}))
    done = check(written(tidegate__yaml=config))
    assert done.returncode == 2
    assert "tracing" in done.stderr and "not available" in done.stderr


def test_broken_yaml_is_told_with_its_line(written):
    done = check(written(tidegate__yaml="workers: 1\nlisteners: [\n"))
    assert done.returncode == 2
    assert re.search(r"tidegate\.yaml:\d+", done.stderr)


def test_a_missing_file_is_told(tmp_path):
    done = run_tidegate("check", "--config", tmp_path / "none.yaml")
    assert done.returncode == 2 and "none.yaml" in done.stderr


def test_check_compiles_every_script(written):
    folder = written(
        tidegate__yaml=as_yaml(config_for(policies={"a": "a.lua", "b": "b.lua"}, route={"echo": True})),
        a__lua="function on_request(\n  no lua", b__lua="\n\nerror('broken at load')")
    done = check(folder)
    assert done.returncode == 2
    assert "a.lua:2" in done.stderr and "b.lua:3" in done.stderr, done.stderr


def test_a_missing_script_is_told(written):
    done = check(written(tidegate__yaml=as_yaml(config_for(policies={"a": "a.lua"}, route={"echo": True}))))
    assert done.returncode == 2 and "a.lua" in done.stderr


def test_variables_expand(written):
    text = as_yaml(config_for(route={"echo": True}, log={"level": "${LEVEL:-info}"}))
    assert check(written(tidegate__yaml=text)).returncode == 0
    assert check(written(tidegate__yaml=text), env={"LEVEL": "loud"}).returncode == 2
    unset = as_yaml(config_for(route={"echo": True}, log={"level": "${LEVEL_THAT_IS_NOT_SET}"}))
    assert check(written(tidegate__yaml=unset)).returncode == 2


def test_run_refuses_what_check_refuses(written):
    folder = written(tidegate__yaml="workers: many\n")
    done = run_tidegate("run", "--config", folder / "tidegate.yaml")
    assert done.returncode == 2
    assert "tidegate.yaml:1" in done.stdout + done.stderr


def test_run_refuses_an_address_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = config_for(route={"echo": True}, listener={"address": "127.0.0.1:%d" % taken.getsockname()[1]})
        proxy = Proxy(config)
        with pytest.raises(AssertionError, match="listening"):
            proxy.start()
        assert proxy.exit_code == 1
        assert str(taken.getsockname()[1]) in str(proxy.log_lines) + str(proxy.stray_lines)


def test_the_schema_is_json_schema():
    done = run_tidegate("schema")
    assert done.returncode == 0
    schema = json.loads(done.stdout)
    assert "json-schema.org" in schema["$schema"]
    assert {"listeners", "routes", "clusters", "policies"} <= schema["properties"].keys()


def test_the_reference_names_every_key():
    done = run_tidegate("reference")
    assert done.returncode == 0
    for key in ("head_timeout", "strip_prefix", "max_pending", "on_error", "drain_timeout"):
        assert f"`{key}`" in done.stdout or key in done.stdout


def test_the_environment_alone_makes_a_proxy(origin, tidegate, connect):
    proxy = tidegate(env={"TIDEGATE_LISTEN_ADDR": "127.0.0.1:0", "TIDEGATE_BACKEND_ADDR": origin.address,
                          "TIDEGATE_METRICS_ADDR": "127.0.0.1:0", "TIDEGATE_ENABLE_HEALTH_CHECK": "false"})
    name = next(name for name in proxy.addresses() if name != "admin")
    assert connect(proxy, name).get("/x").status == 200
    assert origin.last.target == "/x"
    proxy.wait_for_log(message="listening", listener="admin")
    assert proxy.metrics()("proxy_requests_total") == 1


def test_the_environment_balances_over_several_origins(make_origin, tidegate, connect):
    origins = [make_origin(name) for name in "abc"]
    proxy = tidegate(env={"TIDEGATE_LISTEN_ADDR": "127.0.0.1:0", "TIDEGATE_METRICS_ADDR": "127.0.0.1:0",
                          "TIDEGATE_BACKEND_SERVERS": ",".join(o.address for o in origins),
                          "TIDEGATE_ENABLE_HEALTH_CHECK": "false"})
    client = connect(proxy, next(name for name in proxy.addresses() if name != "admin"))
    for _ in range(9):
        assert client.get("/").status == 200
    assert sum(len(o.requests) for o in origins) == 9
    assert all(o.requests for o in origins)


def test_a_wrong_variable_is_exit_2():
    done = run_tidegate("check", env={"TIDEGATE_MAX_CONNECTIONS": "lots"})
    assert done.returncode == 2 and "TIDEGATE_MAX_CONNECTIONS" in done.stderr


def test_flags_make_a_proxy_too(origin, connect):
    with Proxy(args=["run", "--listen", "127.0.0.1:0", "--upstream", origin.url],
               env={"TIDEGATE_METRICS_ADDR": "127.0.0.1:0", "TIDEGATE_ENABLE_HEALTH_CHECK": "false"}) as proxy:
        name = next(name for name in proxy.addresses() if name != "admin")
        with Client(proxy.port(name)) as client:
            assert client.get("/x").status == 200


def test_a_policy_flag_puts_a_script_in_front(origin, tmp_path):
    script = tmp_path / "policy.lua"
    script.write_text("function on_request(r) r.headers['x-mark'] = 'yes' end", encoding="utf-8")
    with Proxy(args=["run", "--listen", "127.0.0.1:0", "--upstream", origin.url, "--policy", str(script)],
               env={"TIDEGATE_METRICS_ADDR": "127.0.0.1:0", "TIDEGATE_ENABLE_HEALTH_CHECK": "false"}) as proxy:
        name = next(name for name in proxy.addresses() if name != "admin")
        with Client(proxy.port(name)) as client:
            assert client.get("/x").status == 200
    assert origin.last.headers.get("x-mark") == "yes"


def test_set_overrules_the_file(written, origin):
    folder = written(tidegate__yaml=as_yaml(config_for(origin)))
    with Proxy(args=["run", "--config", str(folder / "tidegate.yaml"), "--set", "log.access=off"]) as proxy:
        proxy.wait_for_log(message="listening", listener="admin")
        assert proxy.get("/").status == 200
    assert proxy.access_lines == []


@pytest.mark.parametrize("part, fault", [
    ({"log": {"access": "/nosuch/dir/a.log"}}, "log.access: there is no folder /nosuch/dir"),
    ({"log": {"access": "/tmp"}}, "log.access: /tmp is a folder"),
    ({"listener": {"address": "unix:/nosuchdir/x.sock"}}, "listener public: there is no folder /nosuchdir"),
    ({"admin": {"address": "unix:/nosuchdir/x.sock"}}, "admin.address: there is no folder /nosuchdir"),
])
def test_check_refuses_files_that_run_cannot_make(written, part, fault):
    folder = written(tidegate__yaml=as_yaml(config_for(route={"echo": True}, **part)))
    done = check(folder)
    assert (done.returncode, fault in done.stderr) == (2, True), done.stderr
    assert run_tidegate("run", "--config", folder / "tidegate.yaml").returncode == 1


@pytest.mark.parametrize("address, token, warned", [
    ("0.0.0.0:9090", None, True), ("[::]:9090", None, True), ("10.1.2.3:9090", None, True),
    ("0.0.0.0:9090", "x" * 32, False), ("127.0.0.1:9090", None, False), ("localhost:9090", None, False)])
def test_check_warns_of_an_admin_address_that_is_open(written, address, token, warned):
    admin = {"address": address, **({"token": token} if token else {})}
    done = check(written(tidegate__yaml=as_yaml(config_for(route={"echo": True}, admin=admin))))
    assert done.returncode == 0, done.stderr
    assert (f"warning: admin.address {address} is open to whoever reaches it" in done.stderr) == warned
