# SPDX-License-Identifier: Apache-2.0
"""Configs as Python dicts; JSON is YAML, so they are written as JSON."""
import json

from .clock import SANITIZER

LISTEN = "127.0.0.1:0"


def config_for(*origins, route=None, cluster=None, listener=None, policies=None, routes=None, **top):
    """A config with listener `public`, cluster `origin` of these origins, and one route `all`.

    `route`, `cluster` and `listener` add to or overrule the keys of theirs; `policies` maps names to
    policies (a text stands for the script's name), which the route uses in this order unless it says
    otherwise; `routes` go before the route `all`; further keywords are top-level keys."""
    config = {
        "workers": 1,
        "listeners": [{"name": "public", "address": LISTEN, **(listener or {})}],
        "routes": [*(routes or [])],
        "admin": {"address": LISTEN},
    }
    last = {"name": "all", "match": {"path_prefix": "/"}}
    if origins:
        urls = [o if isinstance(o, (str, dict)) else o.url for o in origins]
        config["clusters"] = {"origin": {"endpoints": urls, **(cluster or {})}}
        last["cluster"] = "origin"
    if policies:
        config["policies"] = {
            name: _with_time({"script": policy} if isinstance(policy, str) else policy)
            for name, policy in policies.items()}
        last["policies"] = list(policies)
    last.update(route or {})
    if {"cluster", "respond", "redirect", "echo"} & set(last):
        config["routes"].append({k: v for k, v in last.items() if v is not None})
    config.update(top)
    return {k: v for k, v in config.items() if v is not None}


def _with_time(policy):
    """ThreadSanitizer resets its history now and then, for which some thread pays 150 ms of CPU time."""
    if SANITIZER != "thread":
        return policy
    return {**policy, "budget": {"cpu": "500ms", **policy.get("budget", {})}}


def as_yaml(config):
    return config if isinstance(config, str) else json.dumps(config, indent=2) + "\n"
