---@meta tidegate
-- SPDX-License-Identifier: Apache-2.0
-- Definitions for editors with the Lua language server; scripts/README.md is the reference. Not loaded by
-- Tidegate.

---The policy's options from the config.
---@type table<string, any>
options = {}

---@class tidegate.Headers
---@field [string] string|number|nil
local Headers = {}
---All values of a header.
---@param name string
---@return string[]
function Headers:all(name) end
---Adds one more field.
---@param name string
---@param value string|number
function Headers:add(name, value) end
---Iterates over names (lower case) and values.
---@return fun(): string, string
function Headers:each() end
---@return integer
function Headers:count() end

---A view of the query.
---@class tidegate.Args
---@field [string] string|number|nil
local Args = {}
---@param name string
---@return string[]
function Args:all(name) end
---@param name string
---@param value string|number
function Args:add(name, value) end
---@return fun(): string, string
function Args:each() end
---@return integer
function Args:count() end

---@class tidegate.ClientCertificate
---@field subject string
---@field issuer string
---@field sans string[] "DNS:a.example", "URI:spiffe://x", "IP:10.0.0.1", "email:a@b.example"
---@field fingerprint string SHA-256, 64 lower-case hex digits
---@field verified boolean

---@class tidegate.Tls
---@field version string
---@field cipher string
---@field sni string?
---@field alpn string?
---@field client tidegate.ClientCertificate? nil: it gave none

---@class tidegate.Request
---@field method string writable until sent
---@field scheme string
---@field host string lower case, without port
---@field path string canonical; writable until sent
---@field query string? writable until sent
---@field args tidegate.Args
---@field version "1.0"|"1.1"|"2"
---@field id string
---@field route string?
---@field cluster string? name; writable in on_request
---@field attempt integer
---@field tried table<string, true>
---@field last_failure string?
---@field client_ip string?
---@field client_port integer
---@field tls tidegate.Tls? nil on cleartext
---@field headers tidegate.Headers
---@field trailers tidegate.Headers
---@field vars table<string, string|number|boolean|nil>
---@field timeout number seconds to the response head; writable until sent
local Request = {}
---Waits for the whole body.
---@return string? body
---@return string? token
function Request:body() end
---@param body string
function Request:set_body(body) end
---Answers; write `return request:reply(...)`.
---@param status integer 200 to 599
---@param body? string
---@param headers? table<string, string|number|(string|number)[]>
function Request:reply(status, body, headers) end
---@param url string
---@param status? integer 302 unless given
function Request:redirect(url, status) end

---@class tidegate.Response
---@field status integer writable in on_response
---@field headers tidegate.Headers
---@field trailers tidegate.Headers
---@field from_origin boolean
---@field endpoint tidegate.Endpoint?
---@field attempts integer
---@field duration number seconds
local Response = {}
---Waits for the whole body.
---@return string? body
---@return string? token
function Response:body() end
---In on_response.
---@param body string
function Response:set_body(body) end
---In on_response: another attempt instead of this response, if the cluster's retry settings allow.
---@return boolean
function Response:retry() end

---@class tidegate.Cluster
---@field name string
---@field endpoints tidegate.Endpoint[]
---@field healthy boolean
---@field breaker { closed: integer, open: integer, half_open: integer } how many endpoints' breakers are what
local Cluster = {}
---@return tidegate.Endpoint?
function Cluster:pick() end
---Checks its endpoints now; does not wait for the results.
function Cluster:health_check() end
---@param endpoints (string|{ url: string, weight: integer?, tags: table<string, string>? })[]
function Cluster:set_endpoints(endpoints) end

---@class tidegate.Endpoint
---@field address string
---@field weight integer
---@field tags table<string, string>
---@field available boolean
---@field healthy boolean
---@field active integer
---@field latency number seconds
---@field breaker tidegate.Breaker

---@class tidegate.Breaker
---@field state "closed"|"open"|"half_open"
---@field failures integer in a row
---@field last_failure string? "connect_failed", "503"
local Breaker = {}
function Breaker:reset() end

---@class tidegate.Failure
---@field error string token, as in log and metrics
---@field side "client"|"origin"|"proxy"|"script"
---@field status integer
---@field title string
---@field detail string

---@class tidegate.Blocks
local Blocks = {}
---@param ip string
---@return boolean
function Blocks:contains(ip) end

---@class tidegate.Limit
local Limit = {}
---@param key string
---@param cost? integer 1 unless given
---@return boolean allowed
---@return number retry_after seconds
---@return integer remaining
function Limit:take(key, cost) end

---@class tidegate.ClusterView
---@field name string
---@field healthy boolean
---@field endpoints { address: string, url: string, weight: integer, available: boolean, healthy: boolean, active: integer }[]

---@class tidegate.RouteView
---@field name string
---@field path string?
---@field path_prefix string?
---@field hosts string[]
---@field methods string[]
---@field cluster string?

---@alias tidegate.Fields table<string, string|number|boolean>
---@alias tidegate.Log fun(message: string, fields?: tidegate.Fields)
---@class tidegate.Codec
---@field encode fun(text: string): string
---@field decode fun(text: string): string?, string?

---@class tidegate.Proxy
---@field log { debug: tidegate.Log, info: tidegate.Log, warn: tidegate.Log, error: tidegate.Log }
---@field json { encode: (fun(value: any, options?: { invalid_utf8: "replace" }): string), decode: (fun(text: string, options?: { big_integers: "string" }): any, string?), array: (fun(list?: table): table), null: any }
---@field base64 tidegate.Codec
---@field base64url tidegate.Codec
---@field hex tidegate.Codec
---@field url { encode: (fun(text: string): string), decode: (fun(text: string, plus?: boolean): string), parse: (fun(text: string): table?, string?) }
---@field ip { cidr: fun(list: string|string[]): tidegate.Blocks }
---@field version string
---@field worker integer
proxy = {}
---@return number seconds since 1970
function proxy.now() end
---Waits.
---@param seconds number
function proxy.sleep(seconds) end
---@param name string
---@return tidegate.Cluster?
---@return string? message
function proxy.cluster(name) end
---@return tidegate.ClusterView[]
function proxy.clusters() end
---@return tidegate.RouteView[]
function proxy.routes() end
---@param name string
---@return tidegate.Limit
function proxy.limit(name) end
---A variable out of the policy's `env`.
---@param name string
---@return string?
function proxy.env(name) end
---@return string
function proxy.uuid() end
---@param size integer up to 65536
---@return string
function proxy.random_bytes(size) end
---Takes equally long wherever the two differ.
---@param a string
---@param b string
---@return boolean
function proxy.secure_equals(a, b) end

---@type fun(request: tidegate.Request)
on_request = nil
---@type fun(request: tidegate.Request, cluster: tidegate.Cluster): tidegate.Endpoint|string|nil
select_backend = nil
---@type fun(response: tidegate.Response, request: tidegate.Request)
on_response = nil
---@type fun(request: tidegate.Request, failure: tidegate.Failure)
on_error = nil
---@type fun(request: tidegate.Request, response: tidegate.Response?)
on_log = nil
