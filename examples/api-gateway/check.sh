#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks the running example with curl. The tests give other addresses.
set -euo pipefail
public=${PUBLIC:-127.0.0.1:8080} admin=${ADMIN:-127.0.0.1:9090}

# ask WANTED CURL-ARGUMENTS...: the answer, with its head, must match the regular expression.
ask() {
  local wanted=$1 answer
  shift
  answer=$(curl -sS -i --max-time 10 "$@")
  grep -qiE -- "$wanted" <<<"$answer" || { printf 'curl %s\nno %s in:\n%s\n' "$*" "$wanted" "$answer"; exit 1; }
}

# Two endpoints take turns; on one connection, so that one worker counts.
answers=$(curl -sS "http://$public/api/users/[1-4]" | grep -o '"instance":[12]' | sort | uniq -c | tr -s ' \n' ' ')
[ "$answers" = ' 2 "instance":1 2 "instance":2 ' ] || { echo "users did not take turns: $answers"; exit 1; }

ask '"path": "/12"'                         "http://$public/api/orders/12?full=1"
ask '"query": "full=1"'                     "http://$public/api/orders/12?full=1"
ask '"x-forwarded-prefix": "/api/orders"'   "http://$public/api/orders/12"
ask '"body": "amount=5"'                    -d amount=5 "http://$public/api/payments"
ask '"host": "payments.internal"'           "http://$public/api/payments"
ask '^x-content-type-options: nosniff'      "http://$public/api/users/1"
ask '^HTTP/1.1 404'                         "http://$public/api/nothing"
ask '^x-frame-options: DENY'                "http://$public/api/nothing"

ask '"status":"up"'                         "http://$public/health"
ask '"payments":"up"'                       "http://$public/health"
ask '^HTTP/1.1 200'                         "http://$public/services"
curl -sS "http://$public/services" | python3 -c '
import json, sys
services = {s["prefix"]: s for s in json.load(sys.stdin)["services"]}
assert sorted(services) == ["/api/orders", "/api/payments", "/api/users"], services
assert len(services["/api/users"]["endpoints"]) == 2, services
assert all(e["available"] for s in services.values() for e in s["endpoints"]), services'
ask '"name": "gateway"'                     "http://$admin/policies"
echo "api-gateway: all as it should be"
