#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The recorded JSON Schema, held against a validator that we did not write.

It is a valid schema of its draft, admits every good file, and refuses those bad ones whose fault a schema
can express. Exit status 77, which ctest takes for "skipped", when python3-jsonschema or python3-yaml is
not there; with TIDEGATE_REQUIRE_CLIENTS set that is a failure.
"""

import json
import os
import pathlib
import sys

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"missing: {missing}")
    sys.exit(1 if os.environ.get("TIDEGATE_REQUIRE_CLIENTS") else 77)

FOLDER = pathlib.Path(__file__).parent
# `${NAME:-}` and `[::]:80` without quotes in a flow mapping: Tidegate reads them, plain YAML does not.
NOT_PLAIN_YAML = {"variables.yaml", "addresses.yaml"}
REFUSED = """balancer_unknown count_forms duration_forms empty_values list_expected
    listener_without_address log mapping_expected not_available_at_top
    not_available_in_route policy_flags policy_on_error
    policy_options_not_mapping policy_without_script pool_ranges required_keys_missing respond_status
    size_forms unknown_key_far unknown_key_near unknown_top_level_key workers""".split()


def errors(validator, path):
    document = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    return [f"{path.name}: {error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def main():
    schema = json.loads((FOLDER / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    findings, admitted = [], 0
    for path in sorted((FOLDER / "ok").glob("*.yaml")):
        if path.name not in NOT_PLAIN_YAML:
            findings += errors(validator, path)
            admitted += 1
    for name in REFUSED:
        if not errors(validator, FOLDER / "bad" / f"{name}.yaml"):
            findings.append(f"{name}.yaml: admitted, though it is a bad file")
    print("\n".join(findings) or f"{admitted} good files admitted, {len(REFUSED)} bad ones refused")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
