#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks the running example with curl. The tests give other addresses.
set -euo pipefail
public=${PUBLIC:-127.0.0.1:8080} origin=${ORIGIN:-127.0.0.1:8081} admin=${ADMIN:-127.0.0.1:9090}

# ask WANTED CURL-ARGUMENTS...: the answer, with its head, must match the regular expression.
ask() {
  local wanted=$1 answer
  shift
  answer=$(curl -sS -i --max-time 10 "$@")
  grep -qiE -- "$wanted" <<<"$answer" || { printf 'curl %s\nno %s in:\n%s\n' "$*" "$wanted" "$answer"; exit 1; }
}
refuse() { ! (ask "$@") >/dev/null || { printf 'unexpected: %s\n' "$*"; exit 1; }; }

ask    '^HTTP/1.1 200'            "http://$public/hello"
ask    '"path": "/hello"'         "http://$public/hello?a=1"
ask    '"x-plan": "free"'         "http://$public/hello"
ask    '"x-plan": "gold"'         -H 'x-tenant: blue' "http://$public/hello"
ask    '^x-plan: silver'          -H 'x-tenant: green' "http://$public/hello"
ask    '^x-answered-in: [0-9.]+ ms' "http://$public/hello"
ask    '"body": "some body"'      -d 'some body' "http://$public/hello"
refuse '"user-agent"'             "http://$public/hello"
ask    '"user-agent": "curl'      "http://$origin/hello"
ask    '^HTTP/1.1 418'            "http://$public/teapot"
ask    '"name": "tenants"'        "http://$admin/policies"
ask    '^HTTP/1.1 200'            "http://$admin/ready"
echo "quickstart: all as it should be"
