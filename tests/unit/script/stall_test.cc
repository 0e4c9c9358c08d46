// SPDX-License-Identifier: Apache-2.0
// How long scripts hold a worker up: the CPU time of the longest turn of the loop while hostile
// code runs. A construct that regresses takes tens of milliseconds here.
#include <doctest/doctest.h>

#include <algorithm>

#include "unit/script/stall_meter.h"

using namespace tidegate;
using namespace tidegate::script;

namespace {

using std::chrono::milliseconds;

#if defined(__OPTIMIZE__)
constexpr int kUnoptimised = 0;
#else
constexpr int kUnoptimised = 1;  // the functions' own C++ code takes several times as long
#endif
constexpr Duration kCpu = milliseconds(10);
// What runs inside a C function cannot be sliced: it has its budget, and what the watchdog takes.
constexpr Duration kWhole = kCpu + milliseconds(5) * kSlower;
// In `count` requests at once, each of the code's with a budget of 10 ms.
Duration stall_of(Duration bound, std::string_view code, std::string_view top = "", int count = 1) {
  return shortest(bound, [=] {
    PolicyRig rig;
    config::Policy& policy = rig.policy(
        "p", std::string(top) + "\nfunction on_request(r) " + std::string(code) + "\nend");
    policy.budget.cpu = kCpu;
    const std::vector<std::string> errors = rig.load();
    CAPTURE(errors.empty() ? std::string() : errors.front());
    REQUIRE(errors.empty());
    return longest_turn(rig, [&rig, count] {
      for (int n = 0; n < count; ++n) rig.begin(rig.client(), "/").on_request_head(true);
    });
  });
}

// Of thirty requests whose `wait` ends in one turn, each of which then works for 8 ms.
Duration stall_after(std::string_view wait) {
  PolicyRig rig;
  rig.policy("p", "function on_request(r) " + std::string(wait) +
                      " local t = os.clock() while os.clock() - t < 0.008 do end "
                      "r:reply(200, 'done') end");
  REQUIRE(rig.load().empty());
  std::vector<std::pair<proxy::Exchange*, RecordingClient*>> asking;
  rig.loop.post([&rig, &asking] {
    for (int n = 0; n < 30; ++n) {
      RecordingClient& client = rig.client();
      proxy::Exchange& exchange = rig.begin(client, "/");
      exchange.request().body = http::BodyKind::Streamed;
      exchange.on_request_head(false);
      asking.emplace_back(&exchange, &client);
    }
  });
  turn(rig);
  rig.loop.take_longest_turn();
  rig.loop.post([&asking] {
    for (const auto& [exchange, client] : asking) exchange->on_request_end();
  });
  const auto ended = [](const auto& one) { return one.second->answer.ended; };
  while (!std::all_of(asking.begin(), asking.end(), ended)) turn(rig);
  return rig.loop.take_longest_turn();
}

struct Hostile {
  Duration bound;
  const char* code;
  const char* top = "";  // before the hook, where it may take longer
};

const Hostile kHostile[] = {
    // the language
    {kSliced, "while true do end"},
    {kSliced, "for i = 1, 1e9 do end"},
    {kSliced, "local function f() return f() end f()"},
    {kSliced,
     "local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end"
     " while true do f(150) end"},
    {kSliced, "while true do pcall(function() while true do end end) end"},
    {kSliced, "pcall(pcall, function() while true do end end)"},
    {kSliced, "xpcall(function() while true do end end, print or type)"},
    {kSliced,
     "local m = setmetatable({}, {__index = function() while true do end end}) return m.x"},
    {kSliced,
     "local m = setmetatable({}, {__add = function() while true do end end}) return m + 1"},
    {kSliced, "local m = setmetatable({}, {__lt = function() while true do end end}) return m < m"},
    {kSliced,
     "local m = setmetatable({}, {__concat = function() while true do end end}) return m .. 'x'"},
    {kSliced, "local m = setmetatable({}, {__call = function() while true do end end}) m()"},
    {kSliced, "for _ in function() while true do end end do end"},
    {kSliced,
     "local t = {} for i = 1, 100 do t = setmetatable({}, {__index = t}) end"
     " while true do local x = t.x end"},
    {kSliced, "coroutine.wrap(function() while true do end end)()"},
    {kSliced,
     "local function nest(n) if n == 0 then while true do end end"
     " return coroutine.wrap(nest)(n - 1) end nest(20)"},
    {kSliced,
     "local co = coroutine.wrap(function() while true do coroutine.yield() end end)"
     " while true do co() end"},
    {kSliced, "while true do coroutine.wrap(function() end)() end"},
    {kSliced, "local t = {} while true do t[#t + 1] = {} end"},
    {kSliced, "local t = {} for i = 1, 1e7 do t[i] = i end"},
    {kSliced, "local s = 'x' for i = 1, 1e5 do s = s .. 'x' end"},
    {kSliced, "for k in pairs(_G) do end while true do next({}) end"},
    {kSliced, "while true do local a = {1, 2, 3} local b = {a, a} end"},
    // string
    {kSliced, "while true do ('x'):rep(1e5) end"},
    {kSliced, "while true do ('x'):rep(1e6) end"},
    {kSliced, "while true do ('x'):byte(1) end"},
    {kSliced, "while true do string.char(65, 66, 67) end"},
    {kWhole, "local s = ('x'):rep(1e6) while true do s:upper() end"},
    {kWhole, "local s = ('X'):rep(1e6) while true do s:lower() end"},
    {kWhole, "local s = ('X'):rep(1e6) while true do s:reverse() end"},
    {kSliced, "local s = ('X'):rep(1e6) while true do s:sub(2) end"},
    {kSliced, "local s = ('X'):rep(1e6) while true do local x = s .. 'x' end"},
    {kSliced,
     "local a, b = ('X'):rep(1e6) .. 'a', ('X'):rep(1e6) .. 'b' while true do local x = a < b end"},
    {kSliced, "local s = ('1'):rep(1e6) while true do tonumber(s) end"},
    {kSliced, "local s = ('1'):rep(1e6) while true do local x = s + 1 end"},
    {kSliced, "while true do ('%s'):format(('x'):rep(1e5)) end"},
    {kWhole, "('%q'):format(('x'):rep(3e6))"},
    {kWhole, "('%q'):format(('\\1'):rep(2e6))"},
    {kWhole,
     "local m = {} for i = 1, 7000 do m[i] = 1e308 end ('%.99f'):rep(7000):format(unpack(m))"},
    {kSliced, "while true do tostring({}) end"},
    {kWhole, "return (('a'):rep(1100)):find('[' .. ('b'):rep(4e6) .. ']')"},
    {kWhole, "return (('a'):rep(1100)):match('[^' .. ('b'):rep(1e5) .. ']x')"},
    {kWhole, "return (('a'):rep(1e5)):gsub('[' .. ('%w-'):rep(5e4) .. ']', '')"},
    {kWhole,
     "return (('a'):rep(1100)):find('[' .. ('b'):rep(1e5) .. '][' .. ('c'):rep(1e5) .. ']')"},
    {kWhole, "for _ in (('a'):rep(1e5)):gmatch('[' .. ('b'):rep(1e5) .. ']') do end"},
    {kWhole, "return (('a'):rep(1e5)):find('.-.-.-b')"},
    {kWhole, "return (('('):rep(2e5)):gsub('%b()', '')"},
    {kWhole, "return (('a'):rep(1e6)):find(('a'):rep(5e5) .. 'b', 1, true)"},
    {kWhole, "return (('a'):rep(2e5)):find('(.*)%1b')"},
    {kWhole, "return (('a'):rep(1000)):gsub('a', ('%0'):rep(1e4))"},
    {kWhole, "return (('a'):rep(1000)):gsub('a', function() while true do end end)"},
    {kWhole,
     "return (('a'):rep(1000)):gsub('a', setmetatable({}, {__index = function() while true do end "
     "end}))"},
    // load
    {kSliced, "load('return a' .. (' and a'):rep(4.3e4))"},
    {kSliced, "load('return a' .. (' or a==b'):rep(2.5e4))"},
    {kSliced, "load('return a' .. (' and a'):rep(990))"},
    {kSliced, "while true do load('return a' .. (' or a==b'):rep(990)) end"},
    {kSliced,
     "while true do load('if a then b() ' .. ('elseif a then b() '):rep(900) .. 'end') end"},
    {kSliced,
     "while true do load('while a do ' .. ('if x then break end '):rep(450) .. 'end') end"},
    {kSliced, "while true do load(('x = {1, 2} '):rep(5900)) end"},
    {kSliced, "while true do load(('a = 1 '):rep(1e4)) end"},
    {kSliced, "while true do load('return 1') end"},
    {kWhole, "load(function() while true do end end)"},
    {kWhole, "load(function() return ' ' end)"},
    // table
    {kSliced,
     "local t = {} for i = 1, 1e5 do t[i] = i end while true do table.remove(t, 1) table.insert(t, "
     "1) end"},
    {kWhole, "local t = {} for i = 1, 1e4 do t[i] = i end while true do table.insert(t, 1, 0) end"},
    {kWhole,
     "local t = {} for i = 1, 1e5 do t[i] = 'abcdefgh' end while true do table.concat(t) end"},
    {kWhole, "local t = {} for i = 1, 1e5 do t[i] = (i * 7919) % 100003 end table.sort(t)"},
    {kWhole, "table.sort({3, 2, 1}, function() while true do end end)"},
    {kSliced,
     "local t = {} for i = 1, 5e4 do t[i] = i end while true do table.move(t, 1, 5e4, 2) end"},
    {kSliced, "local t = {} for i = 1, 5e4 do t[i] = i end while true do table.maxn(t) end"},
    {kSliced, "local t = {} for i = 1, 5000 do t[i] = i end while true do unpack(t) end"},
    {kSliced,
     "local t = {} for i = 1, 5000 do t[i] = i end while true do table.pack(unpack(t)) end"},
    {kSliced, "table.foreach({1}, function() while true do end end)"},
    {kSliced, "table.foreachi({1}, function() while true do end end)"},
    {kSliced, "local t = {} for i = 1, 5e4 do t['k' .. i] = i end"},
    {kSliced,
     "local t = {} for i = 1, 3e4 do t[i * 1.5] = i end for k in pairs(t) do t[k] = nil end"
     " while true do next(t) end"},
    // the rest
    {kSliced, "while true do collectgarbage() collectgarbage('count') end"},
    {kSliced, "while true do os.date('%c') os.time() end"},
    {kSliced, "os.date(('%c'):rep(1e5))"},
    {kSliced, "while true do math.random() math.sin(1) end"},
    {kSliced, "while true do select('#', 1, 2, 3) end"},
    {kSliced, "while true do setmetatable({}, {}) rawset({}, 1, 1) end"},
    // proxy
    {kWhole, "local s = ('\\1'):rep(1e6) while true do proxy.json.encode(s) end"},
    {kWhole, "local s = proxy.json.encode(('x'):rep(1e6)) while true do proxy.json.decode(s) end"},
    {kWhole, "local t = {} for i = 1, 5e4 do t[i] = i end while true do proxy.json.encode(t) end"},
    {kWhole, "proxy.json.decode('[' .. ('1,'):rep(2e5) .. '1]')"},
    {kWhole, "proxy.json.decode(('['):rep(1e6))"},
    {kWhole, "proxy.json.decode((' '):rep(4e6))"},
    {kWhole, "proxy.json.decode(('1'):rep(4e6))"},
    {kWhole,
     "local s = ('x'):rep(1e6) while true do proxy.base64.decode(proxy.base64.encode(s)) end"},
    {kWhole, "local s = ('x'):rep(1e6) while true do proxy.hex.decode(proxy.hex.encode(s)) end"},
    {kWhole, "local s = ('%20'):rep(3e5) while true do proxy.url.encode(proxy.url.decode(s)) end"},
    {kSliced, "while true do proxy.uuid() proxy.random_bytes(1000) end"},
    {kSliced, "while true do local x = r.headers['x'] r.vars.x = 1 end"},
};

// What these are given lies outside the budget of the hook, as a body does; as much as fits.
const Hostile kLong[] = {
    {kWhole, "proxy.secure_equals(s, 'b')", "s = ('a'):rep(7e6)"},
    {kWhole, "proxy.secure_equals('b', s)", "s = ('a'):rep(7e6)"},
    {kWhole, "proxy.secure_equals(s, s)", "s = ('a'):rep(7e6)"},
    {kWhole, "s:format(1)", "s = '%' .. ('0'):rep(3e6)"},
    {kWhole, "s:format(1)", "s = '%' .. ('-'):rep(3e6) .. 'd'"},
    {kWhole, "s:format(1)", "s = '%' .. ('1'):rep(6e4) .. 'd'"},
    {kWhole, "s:find(s)", "s = ('a'):rep(7e6)"},
    {kWhole, "s:find(t, 1, true)", "s = ('a'):rep(4e6) t = ('a'):rep(2e6) .. 'b'"},
    {kWhole, "s:find(t, 1, true)", "t = ('a'):rep(1e6) .. 'b' s = ('a'):rep(5e6)"},
    {kWhole, "s:find(t, 1, true)", "s = ('a'):rep(7e6) t = 'b' .. ('a'):rep(255)"},
    {kWhole, "s:find(t, 1, true)", "s = ('ab'):rep(3e6) t = ('ab'):rep(100) .. 'b'"},
    {kSliced, "r.headers.x = s", "s = (' '):rep(7e6)"},
    {kSliced, "r.headers.x = s", "s = 'a' .. (' '):rep(3e6)"},
    {kSliced, "r.headers[s] = 'x'", "s = ('a'):rep(7e6)"},
    {kSliced, "local x = r.headers[s]", "s = ('a'):rep(7e6)"},
    {kSliced, "r:reply(200, '', {[s] = 'x'})", "s = ('a'):rep(7e6)"},
    {kSliced, "r.method = s", "s = ('a'):rep(7e6)"},
    {kSliced, "r.path = s", "s = '/' .. ('a'):rep(3e6)"},
    {kSliced, "r.query = s", "s = ('a'):rep(7e6)"},
    {kWhole, "r.args.x = s", "s = ('a'):rep(4e6)"},
    {kWhole, "r.args:add(s, '')", "s = ('a'):rep(4e6)"},
    {kSliced, "r.cluster = s", "s = ('a'):rep(7e6)"},
    {kSliced, "local x = r.vars[s]", "s = ('a'):rep(7e6)"},
    {kSliced, "r.vars[s] = 1", "s = ('a'):rep(7e6)"},
    {kSliced, "local x = r[s]", "s = ('a'):rep(7e6)"},
    {kSliced, "r:redirect(s)", "s = ('a'):rep(7e6)"},
    {kSliced, "r:reply(200, s)", "s = ('a'):rep(2e6)"},
    {kSliced, "r:set_body(s)", "s = ('a'):rep(2e6)"},
    {kSliced, "proxy.url.parse(s)", "s = (':'):rep(7e6)"},
    {kSliced, "proxy.url.parse(s)", "s = 'http://' .. ('a'):rep(3e6)"},
    {kSliced, "proxy.cluster(s)", "s = ('a'):rep(5e6)"},
    {kSliced, "proxy.env(s)", "s = ('a'):rep(5e6)"},
    {kSliced, "proxy.limit(s)", "s = ('a'):rep(5e6)"},
    {kSliced, "proxy.ip.cidr(s)", "s = ('1'):rep(5e6)"},
    {kSliced, "l:contains(s)", "l = proxy.ip.cidr('::/0') s = ('1'):rep(7e6)"},
    {kWhole, "proxy.ip.cidr(t)", "t = {} for i = 1, 1e5 do t[i] = '10.0.0.1' end"},
    {kSliced, "proxy.log.error(s)", "s = ('\\1'):rep(7e6)"},
    {kWhole, "proxy.log.error('x', t)", "t = {} for i = 1, 1e6 do t[i] = i end"},
    {kSliced,
     "local t = {} for i = 1, 30 do t[i .. ''] = s end while true do proxy.log.error(s, t) end",
     "s = ('\\1'):rep(8192)"},
    {kSliced, "proxy.log.error('x', {[s] = s})", "s = ('\\1'):rep(5e6)"},
    {kWhole, "proxy.json.decode(s)", "s = ('1'):rep(7e6)"},
    {kWhole, "proxy.json.decode(s)", "s = '0.' .. ('1'):rep(3e6)"},
    {kWhole, "proxy.json.decode(s)", "s = '\"' .. ('\\200'):rep(3e6)"},
    // LuaJIT's own, about a millisecond for each MiB
    {kSliced, "tonumber(s)", "s = ('1'):rep(2e6)"},
    {kSliced, "tonumber(s, 7)", "s = ('1'):rep(2e6)"},
    {kSliced, "tonumber(s)", "s = (' '):rep(2e6)"},
    {kSliced, "local x = s + 1", "s = '0x' .. ('1'):rep(1e6)"},
    {kSliced, "local x = s + 1", "s = '0b' .. ('1'):rep(1e6)"},
    {kSliced, "local x = s .. 'x'", "s = ('1'):rep(5e6)"},
    {kSliced, "local x = s < t", "s = ('1'):rep(5e6) t = s:sub(2)"},
    {kSliced, "local x = s:sub(2)", "s = ('1'):rep(5e6)"},
    {kSliced, "table.maxn(t)", "t = {} for i = 1, 2e5 do t[i * 1.5] = i end"},
    {kSliced, "while true do next(t) end",
     "t = {} for i = 1, 2e5 do t[i * 1.5] = i end for k in pairs(t) do t[k] = nil end"},
    {kWhole, "table.concat(t, s)", "s = ('1'):rep(5e6) t = {1, 2, 3}"},
    {kSliced, "load(s)", "s = ('a'):rep(7e6)"},
    {kSliced, "require(s)", "s = ('a'):rep(7e6)"},
    {kSliced,
     "local f = loadstring('local f, n, r = ... if n > 0 then return 1 + f(f, n - 1, r) end"
     " while true do pcall(r.headers.all, r.headers) end') f(f, 6000, r)"},
    {kSliced,
     "local f = loadstring('local f, n, r = ... if n > 0 then return 1 + f(f, n - 1, r) end"
     " while true do local x = r.nothing end') f(f, 6000, r)"},
    {kSliced,
     "local f = loadstring('local f, n, r = ... if n > 0 then return 1 + f(f, n - 1, r) end"
     " table.sort({1, 2}, function() r:body() end)') f(f, 6000, r)"},
    {kSliced,
     "local f = loadstring('local f, n, r = ... if n > 0 then return 1 + f(f, n - 1, r) end"
     " while true do end') f(f, 6000, r)"},
    {kWhole, "error(setmetatable({}, {__tostring = function() while true do end end}))"},
    {kWhole, "error(t)", "t = {} for i = 1, 2e5 do t[i] = i end"},
    {kWhole, "error(t)",
     "t = setmetatable({}, {__tostring = function() while true do end end})"
     " for i = 1, 2e5 do t[i] = i end"},
    {kSliced, "error(s)", "s = ('a'):rep(7e6)"},
    {kSliced, "error({message = s})", "s = ('a'):rep(7e6)"},
    // the compiler looks names up one by one
    {kSliced, "load(s)",
     "s = ('function f()local ' .. ('a,'):rep(198) .. 'a '):rep(75) .. 'x={' .. ('g,'):rep(17000) "
     ".. '}'"
     " .. (' end'):rep(75)"},
    {kSliced, "load(s)", "s = 'local ' .. ('a,'):rep(198) .. 'a x={' .. ('g,'):rep(32000) .. '}'"},
    {kSliced, "load(s)",
     "local n = {} for i = 1, 59 do n[i] = 'a' .. i end n = table.concat(n, ',')"
     " s = 'local z,' .. n .. ' ' .. ('function f() local q=z,' .. n .. ' '):rep(190) .. 'x={' .."
     " ('z,'):rep(5000) .. '}' .. (' end'):rep(190)"},
    {kSliced, "while true do load(s) end", "s = ('f=function()end '):rep(4300)"},
    {kSliced, "while true do load(s) end",
     "s = 'local ' .. ('a,'):rep(98) .. 'a x={' .. ('g,'):rep(19000) .. '}'"},
    {kSliced, "load(s)", "s = 'local l ' .. (('l,'):rep(190) .. 'l=l '):rep(160)"},
    {kSliced, "load(s)",
     "s = ('while a do '):rep(150) .. ('do local a,b,c,d,e,f,g,h,i,j end '):rep(1500) .. 'break '"
     " .. ('end '):rep(150)"},
};

}  // namespace

TEST_CASE("L9, L28: no construct and no library function holds a worker up for long") {
  for (const Hostile& one : kHostile) {
    CAPTURE(std::string(one.code));
    CHECK(ms(stall_of(one.bound, one.code, one.top)) <= ms(one.bound));
  }
}

TEST_CASE("L9: no library function holds a worker up for long, however long what it is given") {
  for (const Hostile& one : kLong) {
    CAPTURE(std::string(one.code));
    CAPTURE(std::string(one.top));
    const Duration bound = one.bound + kUnoptimised * milliseconds(3);
    CHECK(ms(stall_of(bound, one.code, one.top)) <= ms(bound));
  }
}

TEST_CASE("L9: clusters of many endpoints hold no worker up for long") {
  constexpr int kEndpoints = 10'000;
  const Hostile kOnClusters[] = {
      {kWhole, "proxy.clusters()"},
      {kWhole, "local x = c.endpoints"},
      {kSliced, "local x = c.breaker"},
      {kSliced, "local x = c.healthy"},
      {kSliced, "c:pick()"},
      {kSliced, "c:health_check()"},
      {kWhole, "proxy.routes()"},
      {kSliced, "c:set_endpoints(few)"},
      {kSliced, "c:set_endpoints(many)"},
  };
  PolicyRig rig;
  config::Cluster& cluster = rig.config.clusters.emplace_back();
  cluster.name = "c";
  for (int n = 0; n < kEndpoints; ++n) {
    config::Endpoint& endpoint = cluster.endpoints.emplace_back();
    endpoint.address.host = "10.0." + std::to_string(n / 100) + "." + std::to_string(n % 100);
    endpoint.address.port = 80;
    endpoint.url = "http://" + endpoint.address.host;
    rig.config.routes[0].match.hosts.push_back("h" + std::to_string(n) + ".example");
  }
  std::string script = R"(few, many = {}, {}
    for i = 1, 1001 do
      many[i] = ('http://10.0.%d.%d'):format(i / 100, i % 100)
      if i <= 1000 then few[i] = many[i] end
    end
    calls = {}
    function on_request(r)
      local call, c = calls[tonumber(r.path:sub(2))], proxy.cluster('c')
      while true do pcall(call, c) end
    end
  )";
  for (const Hostile& one : kOnClusters) {
    script += "calls[#calls + 1] = function(c) " + std::string(one.code) + " end\n";
  }
  config::Policy& policy = rig.policy("p", script);
  policy.budget.cpu = kCpu;
  policy.clusters = {"c"};
  REQUIRE(rig.load().empty());
  rig.context->set_endpoints = [](const std::string&, const std::vector<config::Endpoint>&) {};
  for (size_t i = 0; i < std::size(kOnClusters); ++i) {
    CAPTURE(std::string(kOnClusters[i].code));
    const Duration took = shortest(kOnClusters[i].bound, [&rig, i] {
      return longest_turn(rig, [&rig, i] {
        rig.begin(rig.client(), "/" + std::to_string(i + 1)).on_request_head(true);
      });
    });
    CHECK(ms(took) <= ms(kOnClusters[i].bound));
  }
}

TEST_CASE("L28: thirty requests of 8 ms each take turns") {
  constexpr const char* kBusy = "local t = os.clock() while os.clock() - t < 0.008 do end";
  CHECK(ms(stall_of(kSliced, kBusy, "", 30)) <= ms(kSliced));
}

TEST_CASE("L28: runs whose waits end in one turn take turns") {
  constexpr const char* kWaits[] = {"proxy.sleep(0)", "r:body()", "coroutine.wrap(r.body)(r)",
                                    "proxy.sleep(0) r:body()"};
  for (const char* wait : kWaits) {
    CAPTURE(std::string(wait));
    CHECK(ms(shortest(kSliced, [wait] { return stall_after(wait); })) <= ms(kSliced));
  }
}

TEST_CASE("L28: a body that is there at once does not begin another slice in the same turn") {
  constexpr const char* kReads[] = {
      "while true do r:body() end",
      "while true do pcall(r.body, r) end",
      "r:set_body(('x'):rep(1e6)) while true do r:body() end",
      "while true do coroutine.wrap(r.body)(r) end",
      "end function on_response(response) while true do response:body() end",
  };
  for (const char* reads : kReads) {
    CAPTURE(std::string(reads));
    CHECK(ms(stall_of(kSliced, reads)) <= ms(kSliced));
  }
}

TEST_CASE("L28: eight policies of 8 ms each on one request take turns") {
  const Duration took = shortest(kSliced, [] {
    PolicyRig rig;
    for (int n = 0; n < 8; ++n) {
      rig.policy("p" + std::to_string(n), R"(function on_request(r)
        local t = os.clock() while os.clock() - t < 0.008 do end
        r.vars.n = (r.vars.n or 0) + 1
      end)")
          .budget.cpu = milliseconds(100);
    }
    rig.policy("show", "function on_request(r) r:reply(200, tostring(r.vars.n)) end");
    REQUIRE(rig.load().empty());
    RecordingClient& client = rig.client();
    const Duration longest =
        longest_turn(rig, [&rig, &client] { rig.begin(client, "/").on_request_head(true); });
    CHECK(client.answer.body == "8");
    return longest;
  });
  CHECK(ms(took) <= ms(kSliced));
}

TEST_CASE("L10: a reload of many policies, and of a module that all require, takes a turn each") {
  constexpr int kPolicies = 1000;
  constexpr int kShared = 4;  // policies of each script, one after the other: they share a VM
  PolicyRig rig;
  const auto write_shared = [&rig](int length) {
    rig.folder.write("shared.lua", "local t = {} for i = 1, " + std::to_string(length) +
                                       " do t[i] = i end return t");
  };
  write_shared(1000);
  for (int n = 0; n < kPolicies; ++n) {
    const std::string name = "p" + std::to_string(n);
    config::Policy& policy = rig.policy(name, "local t = require('shared') function on_log(r) end");
    if (n % kShared != 0)
      policy.script = rig.config.policies[rig.config.policies.size() - 2].script;
  }
  REQUIRE(rig.load().empty());
  int length = 1000;
  const Duration took = shortest(kSliced, [&] {
    write_shared(++length);
    bool changed = false;
    REQUIRE(rig.scripts.reload_changed(changed).empty());
    REQUIRE(changed);
    bool done = false;
    turn(rig);
    rig.loop.take_longest_turn();
    rig.begin_adopting([&done] { done = true; });
    while (!done || !rig.worker.slices().idle()) turn(rig);
    return rig.loop.take_longest_turn();
  });
  CHECK(rig.worker.vm_count() == kPolicies / kShared);
  CHECK(ms(took) <= ms(kSliced));
}
