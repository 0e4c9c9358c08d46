# SPDX-License-Identifier: Apache-2.0
"""The admin address: plain HTTP requests, and a strict reader of the Prometheus text format."""
import http.client
import json
import math
import re

from .clock import scaled

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)(?: -?[0-9]+)?\Z")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|\Z)')
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def call(port, method, path, headers=None, body=None):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=scaled(10))
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())
    finally:
        connection.close()


def _labels(text):
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match, f"bad labels {text!r}"
        assert match[1] not in labels, f"label {match[1]} twice in {text!r}"
        labels[match[1]] = match[2]
        at = match.end()
    return labels


class Metrics:
    """One scrape. `metrics("proxy_requests_total", route="x")` sums the samples that have at least
    these labels; a name without samples is an error, so that a typo cannot pass."""

    def __init__(self, text):
        assert text.endswith("\n"), "the last line must end with a line feed"
        self.types, self.helps, self.samples = {}, {}, []
        seen, family, closed = set(), None, set()
        for line in text[:-1].split("\n"):
            if line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                assert kind in TYPES and name not in self.types, line
                self.types[name] = kind
            elif line.startswith("# HELP "):
                name, _, text_of = line[7:].partition(" ")
                assert name not in self.helps, line
                self.helps[name] = text_of
            elif line and not line.startswith("#"):
                name, labels, value = self._sample(line)
                base = self._family(name)
                if base != family:
                    assert base not in closed, f"samples of {base} are not together"
                    closed.add(family)
                    family = base
                key = (name, tuple(sorted(labels.items())))
                assert key not in seen, f"twice: {line}"
                seen.add(key)
                self.samples.append((name, labels, value))
        self._check_histograms()

    @staticmethod
    def _sample(line):
        match = SAMPLE.match(line)
        assert match, f"bad sample {line!r}"
        return match[1], _labels(match[2] or ""), float(match[3].replace("Inf", "inf"))

    def _family(self, name):
        if name in self.types:
            return name
        for suffix in ("_bucket", "_sum", "_count"):
            base = name.removesuffix(suffix)
            if base != name and self.types.get(base) in ("histogram", "summary"):
                return base
        raise AssertionError(f"sample {name} has no # TYPE before it")

    def _check_histograms(self):
        for name, kind in self.types.items():
            if kind != "histogram":
                continue
            series = {}
            for sample, labels, value in self.samples:
                if sample == name + "_bucket":
                    rest = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
                    series.setdefault(rest, []).append((float(labels["le"].replace("Inf", "inf")), value))
            for rest, buckets in series.items():
                for column in zip(*buckets):
                    assert list(column) == sorted(column), f"{name}{rest}: buckets fall"
                assert buckets[-1][0] == math.inf, f"{name}{rest}: no +Inf bucket"
                assert self(name + "_count", exact=dict(rest)) == buckets[-1][1], f"{name}{rest}"

    def __call__(self, name, exact=None, default=None, **labels):
        found = [value for sample, own, value in self.samples
                 if sample == name and (own == exact if exact is not None
                                        else all(own.get(k) == v for k, v in labels.items()))]
        if not found:
            assert default is not None, (
                f"no sample {name}{exact or labels}; the name has "
                f"{[own for sample, own, _ in self.samples if sample == name]}")
            return default
        return sum(found)

    def names(self):
        return set(self.types)
