# SPDX-License-Identifier: Apache-2.0
"""Reads header_rules.txt: what becomes of each field name."""
import collections
import pathlib

Rule = collections.namedtuple(
    "Rule", "name value untrusted trusted trailers response response_trailers h2")


def read():
    lines = pathlib.Path(__file__).with_suffix(".txt").read_text().splitlines()
    return [Rule(*line.split()) for line in lines if line and not line.startswith("#")]
