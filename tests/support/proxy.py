# SPDX-License-Identifier: Apache-2.0
"""The program under test: started, watched, and ended with an account of how it went."""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading

from . import admin
from .client import Client
from .clock import BINARY, SANITIZER, scaled
from .config import as_yaml

SANITIZER_REPORT = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:")


def _environment(extra):
    env = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_")}
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    env.update(extra or {})
    return env


def run_tidegate(*args, env=None, cwd=None, timeout=20):
    """Runs a command to its end; gives the CompletedProcess with texts."""
    return subprocess.run([str(BINARY), *map(str, args)], env=_environment(env), cwd=cwd, text=True,
                          capture_output=True, timeout=scaled(timeout), check=False)


class Proxy:
    """A running tidegate with its config and scripts in a folder of its own.

        with Proxy(config_for(origin), scripts={"policy.lua": "..."}) as proxy:
            assert Client(proxy.port()).get("/").status == 200

    Entering waits for every listener's `listening` line; leaving sends SIGTERM and checks that the
    process ends with 0, that no sanitizer spoke, and that stderr held nothing but log lines.
    """

    def __init__(self, config=None, scripts=None, env=None, args=("run",), descriptors=None,
                 expect_exit=0, prefix=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-test-"))
        self.config_file = self.folder / "tidegate.yaml"
        self.expect_exit = expect_exit
        self.log_lines = []      # operational log, parsed
        self.access_lines = []   # access log, parsed
        self.stray_lines = []    # stderr that is no log line
        self.exit_code = None
        self.process = None
        self._args = list(args)
        self._env = env
        self._descriptors = descriptors
        self._prefix = list(prefix)  # of the command, such as one that enters a namespace
        self._changed = threading.Condition()
        self._expected_listeners = None
        if config is not None:
            self.write_config(config)
            self._args += ["--config", str(self.config_file)]
        for name, text in (scripts or {}).items():
            self.write_script(name, text)

    # -- files ----------------------------------------------------------------------------------
    def write_config(self, config):
        if isinstance(config, dict):
            self._expected_listeners = {listener["name"] for listener in config["listeners"]}
            if config.get("admin", {}).get("address", "off") != "off":
                self._expected_listeners.add("admin")
        self._write(self.config_file, as_yaml(config))

    def write_script(self, name, text):
        """Writes a script in one step, as an editor that renames does; gives its path."""
        path = self.folder / name
        self._write(path, text)
        return path

    @staticmethod
    def _write(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(path.name + ".new")
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)

    # -- life -----------------------------------------------------------------------------------
    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.abandon()

    def start(self):
        limit = None
        if self._descriptors:
            def limit():
                resource.setrlimit(resource.RLIMIT_NOFILE, (self._descriptors, self._descriptors))
        self.process = subprocess.Popen(
            [*self._prefix, str(BINARY), *self._args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, env=_environment(self._env), cwd=self.folder, preexec_fn=limit)
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._on_stdout), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self._on_stderr), daemon=True)]
        for reader in self._readers:
            reader.start()
        try:
            self._wait(self._is_listening, 10, "listening lines")
        except AssertionError:
            self.abandon()
            raise
        return self

    def _is_listening(self):
        if self._expected_listeners is None:
            return any(line.get("message") == "listening" for line in self.log_lines)
        return self._expected_listeners <= set(self.addresses())

    def stop(self, timeout=15):
        """SIGTERM, then the account."""
        if self.exit_code is None and self.process.poll() is None:
            self.signal(signal.SIGTERM)
        self.wait_for_exit(timeout)
        self.check_exit()

    def wait_for_exit(self, timeout=15):
        try:
            self.process.wait(scaled(timeout))
        except subprocess.TimeoutExpired:
            self.abandon()
            raise AssertionError(f"tidegate did not end; {self.account()}") from None
        self._join()
        return self.exit_code

    def check_exit(self):
        output = "\n".join(self.stray_lines)
        assert not SANITIZER_REPORT.search(output), output
        assert self.exit_code == self.expect_exit, f"ended with {self.exit_code}; {self.account()}"
        assert not self.stray_lines, f"stderr lines that are no log lines:\n{output}"
        shutil.rmtree(self.folder, ignore_errors=True)

    def abandon(self):
        """Ends the process without further checks; the test has failed already."""
        if self.process:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self._join()
            print(self.account())
        shutil.rmtree(self.folder, ignore_errors=True)

    def _join(self):
        for reader in self._readers:
            reader.join(scaled(5))
        self.exit_code = self.process.returncode

    def account(self):
        """What a reader of a failed test wants to see."""
        logs = "\n".join(json.dumps(line) for line in self.log_lines[-30:])
        access = "\n".join(json.dumps(line) for line in self.access_lines[-10:])
        return (f"exit {self.process.poll()}\n--- log\n{logs}\n--- stray\n" +
                "\n".join(self.stray_lines[-60:]) + f"\n--- access\n{access}")

    def signal(self, number):
        self.process.send_signal(number)

    def stopped(self):
        """All threads stand, after SIGSTOP."""
        return all(stat.read_text().rpartition(")")[2].split()[0] == "T"
                   for stat in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/stat"))

    # -- output ---------------------------------------------------------------------------------
    def _read(self, stream, take):
        for raw in stream:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            with self._changed:
                take(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()
        stream.close()

    def _on_stdout(self, line):
        try:
            self.access_lines.append(json.loads(line))
        except ValueError:
            self.stray_lines.append("stdout: " + line)

    def _on_stderr(self, line):
        try:
            parsed = json.loads(line)
            assert isinstance(parsed, dict)
            self.log_lines.append(parsed)
        except (ValueError, AssertionError):
            self.stray_lines.append(line)

    def _wait(self, condition, timeout, what):
        def done():
            return condition() or self.process.poll() is not None
        with self._changed:
            self._changed.wait_for(done, scaled(timeout))
            value = condition()
        assert value, f"never saw {what}; {self.account()}"
        return value

    def wait_for_log(self, predicate=None, timeout=10, since=0, **fields):
        """The first operational log line from number `since` on with these fields."""
        def find():
            for line in self.log_lines[since:]:
                if all(line.get(k) == v for k, v in fields.items()) and (not predicate or predicate(line)):
                    return line
            return None
        return self._wait(find, timeout, f"a log line with {fields or predicate}")

    def wait_for_access(self, count=None, timeout=5, **fields):
        """The access log line with these fields; or, with `count`, at least so many lines."""
        def find():
            if count is not None:
                return len(self.access_lines) >= count and self.access_lines
            for line in self.access_lines:
                if all(line.get(k) == v for k, v in fields.items()):
                    return line
            return None
        return self._wait(find, timeout, f"an access log line with {fields or count}")

    # -- where it listens -----------------------------------------------------------------------
    def addresses(self):
        return {line["listener"]: line["address"] for line in self.log_lines
                if line.get("message") == "listening"}

    def port(self, listener="public"):
        return int(self.addresses()[listener].rpartition(":")[2])

    def client(self, listener="public", **kwargs):
        return Client(self.port(listener), **kwargs)

    def get(self, target="/", headers=(), **kwargs):
        """One GET on a connection of its own."""
        with self.client() as client:
            return client.get(target, headers, **kwargs)

    # -- admin ----------------------------------------------------------------------------------
    def admin(self, path, method="GET", headers=None, body=None):
        return admin.call(self.port("admin"), method, path, headers, body)

    def status(self):
        return self.admin("/status").json()

    def metrics(self):
        reply = self.admin("/metrics")
        assert reply.status == 200, reply
        return admin.Metrics(reply.text)

    # -- reload ---------------------------------------------------------------------------------
    def generation(self, policy):
        """Number of the generation that is live, by the last `policy loaded` line."""
        numbers = [line["generation"] for line in self.log_lines
                   if line.get("message") == "policy loaded" and line.get("policy") == policy]
        return numbers[-1] if numbers else None

    def wait_for_generation(self, policy, after):
        return self.wait_for_log(lambda line: line["generation"] > after, message="policy loaded",
                                 policy=policy)["generation"]

    def edit(self, name, text, policy=None):
        """Rewrites a script while it serves and waits until the new version is live."""
        policy = policy or pathlib.Path(name).stem
        before = self.generation(policy)
        self.write_script(name, text)
        return self.wait_for_generation(policy, before)

    def edit_to_broken(self, name, text, policy=None):
        """Rewrites a script and waits until it has been refused; gives the log line."""
        since = len(self.log_lines)
        self.write_script(name, text)
        return self.wait_for_log(message="policy refused", policy=policy or pathlib.Path(name).stem,
                                 since=since)

    # -- process --------------------------------------------------------------------------------
    def memory_kib(self, which="VmRSS"):
        """Resident memory now, or its highest value so far with VmHWM."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"^{which}:\s+(\d+) kB", text, re.M)[1])

    def cpu_seconds(self):
        """CPU time that all threads that live have used; exact while they sleep."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


MEASURES_MEMORY = SANITIZER is None  # a sanitizer's shadow memory says nothing about ours
