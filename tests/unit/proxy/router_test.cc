// SPDX-License-Identifier: Apache-2.0
#include "proxy/router.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <initializer_list>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/arena.h"

namespace tidegate::proxy {
namespace {

/// A route whose match is given piece by piece.
struct RouteOf : config::Route {
  explicit RouteOf(std::string route_name) { name = std::move(route_name); }
  RouteOf& hosts(std::vector<std::string> of) { return match.hosts = std::move(of), *this; }
  RouteOf& path(std::string of) { return match.path = std::move(of), *this; }
  RouteOf& prefix(std::string of) { return match.path_prefix = std::move(of), *this; }
  RouteOf& methods(std::vector<std::string> of) { return match.methods = std::move(of), *this; }
  RouteOf& header(std::string key, std::string value) {
    return match.headers[std::move(key)] = std::move(value), *this;
  }
  RouteOf& listener(std::string of) { return match.listener = std::move(of), *this; }
};

struct Request {
  std::string_view path = "/";
  std::string_view host = "a.com";
  std::string_view method = "GET";
  std::initializer_list<std::pair<std::string_view, std::string_view>> headers = {};
  std::string_view listener = "public";
};

/// Routes compiled, and asked for the name of the one that a request gets.
class Routes {
 public:
  Routes(std::initializer_list<config::Route> routes) : Routes(std::vector(routes)) {}
  explicit Routes(std::vector<config::Route> routes) : snapshot_(of(std::move(routes))) {}

  std::string operator()(const Request& request) {
    Arena arena(blocks_);
    http::RequestHead head(arena);
    head.path = request.path;
    head.method_name = request.method;
    head.method = http::method_of(request.method);
    for (const auto& [name, value] : request.headers) head.headers.add(name, value);
    const config::Route* route = router_.match(head, request.host, request.listener);
    return route == nullptr ? "-" : route->name;
  }

 private:
  static config::Snapshot of(std::vector<config::Route> routes) {
    config::Snapshot snapshot;
    snapshot.routes = std::move(routes);
    return snapshot;
  }

  ArenaBlocks blocks_;
  config::Snapshot snapshot_;
  Router router_{snapshot_};
};

}  // namespace

TEST_CASE("without routes nothing matches") {
  Routes route({});
  CHECK(route({}) == "-");
}

TEST_CASE("a route without path and prefix matches every path") {
  Routes route{RouteOf("any")};
  for (std::string_view path : {"/", "/a", "/a/b/", "*"}) CHECK(route({.path = path}) == "any");
}

TEST_CASE("a prefix matches on segment borders") {
  Routes route{RouteOf("api").prefix("/api"), RouteOf("deep").prefix("/x/y/z")};
  CHECK(route({.path = "/api"}) == "api");
  CHECK(route({.path = "/api/"}) == "api");
  CHECK(route({.path = "/api/x"}) == "api");
  CHECK(route({.path = "/apix"}) == "-");
  CHECK(route({.path = "/ap"}) == "-");
  CHECK(route({.path = "/x/api"}) == "-");
  CHECK(route({.path = "/x/y/z/1/2/3/4/5"}) == "deep");
  CHECK(route({.path = "/x/y"}) == "-");
  CHECK(route({.path = "/x/yz"}) == "-");
  CHECK(route({.path = "/"}) == "-");
  CHECK(route({.path = "*"}) == "-");
}

TEST_CASE("a slash at the end of a configured prefix says nothing") {
  Routes route{RouteOf("api").prefix("/api/")};
  CHECK(route({.path = "/api"}) == "api");
  CHECK(route({.path = "/api/x"}) == "api");
  CHECK(route({.path = "/apix"}) == "-");
}

TEST_CASE("the prefix of one slash matches every path, as the last choice") {
  Routes route{RouteOf("root").prefix("/"), RouteOf("a").prefix("/a")};
  CHECK(route({.path = "/"}) == "root");
  CHECK(route({.path = "/b/c"}) == "root");
  CHECK(route({.path = "/a/c"}) == "a");
}

TEST_CASE("an exact path matches nothing else") {
  Routes route{RouteOf("exact").path("/a/b"), RouteOf("root").path("/"), RouteOf("star").path("*")};
  CHECK(route({.path = "/a/b"}) == "exact");
  CHECK(route({.path = "/a/b/"}) == "-");
  CHECK(route({.path = "/a/b/c"}) == "-");
  CHECK(route({.path = "/a"}) == "-");
  CHECK(route({.path = "/A/b"}) == "-");
  CHECK(route({.path = "/"}) == "root");
  CHECK(route({.path = "*"}) == "star");
}

TEST_CASE("exact path goes before longest prefix, whatever the order in the file") {
  Routes route{RouteOf("short").prefix("/a"), RouteOf("long").prefix("/a/b"),
               RouteOf("exact").path("/a/b/c"), RouteOf("longest").prefix("/a/b/c")};
  CHECK(route({.path = "/a/b/c"}) == "exact");
  CHECK(route({.path = "/a/b/c/"}) == "longest");
  CHECK(route({.path = "/a/b/d"}) == "long");
  CHECK(route({.path = "/a/d"}) == "short");
}

TEST_CASE("of equal matches the first in the file is taken") {
  Routes route{RouteOf("one").prefix("/a"), RouteOf("two").prefix("/a"),
               RouteOf("three").path("/b"), RouteOf("four").path("/b")};
  CHECK(route({.path = "/a"}) == "one");
  CHECK(route({.path = "/b"}) == "three");
}

TEST_CASE("exact host goes before wildcard before any") {
  Routes route{RouteOf("any"), RouteOf("wild").hosts({"*.example.com"}),
               RouteOf("wilder").hosts({"*.b.example.com"}),
               RouteOf("exact").hosts({"a.example.com"})};
  CHECK(route({.host = "a.example.com"}) == "exact");
  CHECK(route({.host = "c.example.com"}) == "wild");
  CHECK(route({.host = "b.example.com"}) == "wild");
  CHECK(route({.host = "x.b.example.com"}) == "wilder");
  CHECK(route({.host = "x.y.b.example.com"}) == "wilder");
  CHECK(route({.host = "x.a.example.com"}) == "wild");
  CHECK(route({.host = "example.com"}) == "any");
  CHECK(route({.host = "notexample.com"}) == "any");
  CHECK(route({.host = "[::1]"}) == "any");
  CHECK(route({.host = ""}) == "any");
}

TEST_CASE("a more specific host wins over a more specific path") {
  Routes route{RouteOf("path").path("/a/b"), RouteOf("host").hosts({"a.com"}).prefix("/a")};
  CHECK(route({.path = "/a/b", .host = "a.com"}) == "host");
  CHECK(route({.path = "/a/b", .host = "b.com"}) == "path");
}

TEST_CASE("where nothing fits in the most specific host, the less specific ones are tried") {
  Routes route{RouteOf("exact").hosts({"a.b.com"}).path("/only"),
               RouteOf("wild").hosts({"*.b.com"}).prefix("/w"),
               RouteOf("wider").hosts({"*.com"}).prefix("/v"), RouteOf("any").prefix("/x")};
  CHECK(route({.path = "/only", .host = "a.b.com"}) == "exact");
  CHECK(route({.path = "/w", .host = "a.b.com"}) == "wild");
  CHECK(route({.path = "/v", .host = "a.b.com"}) == "wider");
  CHECK(route({.path = "/x", .host = "a.b.com"}) == "any");
  CHECK(route({.path = "/y", .host = "a.b.com"}) == "-");
}

TEST_CASE("a route may have several hosts, and a star is any") {
  Routes route{RouteOf("two").hosts({"a.com", "*.b.com"}), RouteOf("star").hosts({"*"})};
  CHECK(route({.host = "a.com"}) == "two");
  CHECK(route({.host = "x.b.com"}) == "two");
  CHECK(route({.host = "c.com"}) == "star");
}

TEST_CASE("a configured host is compared in its canonical form") {
  Routes route{RouteOf("v6").hosts({"[2001:DB8:0:0::1]"}), RouteOf("name").hosts({"A.Com."})};
  CHECK(route({.host = "[2001:db8::1]"}) == "v6");
  CHECK(route({.host = "a.com"}) == "name");
}

TEST_CASE("a method that does not fit passes to the next best route") {
  Routes route{RouteOf("exact").path("/a/b").methods({"POST", "PUT"}),
               RouteOf("purge").prefix("/a/b").methods({"PURGE"}),
               RouteOf("prefix").prefix("/a").methods({"GET", "PUT"})};
  CHECK(route({.path = "/a/b", .method = "POST"}) == "exact");
  CHECK(route({.path = "/a/b", .method = "PUT"}) == "exact");
  CHECK(route({.path = "/a/b", .method = "GET"}) == "prefix");
  CHECK(route({.path = "/a/b", .method = "PURGE"}) == "purge");
  CHECK(route({.path = "/a/b", .method = "QUERY"}) == "-");
  CHECK(route({.path = "/a/b", .method = "HEAD"}) == "-");
}

TEST_CASE("headers must all be there with exactly their value") {
  Routes route{RouteOf("both").header("x-beta", "1").header("accept", "text/html"),
               RouteOf("beta").header("x-beta", "1"), RouteOf("plain")};
  CHECK(route({.headers = {{"x-beta", "1"}, {"accept", "text/html"}}}) == "both");
  CHECK(route({.headers = {{"x-beta", "1"}, {"accept", "*/*"}}}) == "beta");
  CHECK(route({.headers = {{"x-beta", "0"}, {"x-beta", "1"}}}) == "beta");
  CHECK(route({.headers = {{"x-beta", "10"}, {"accept", "text/html"}}}) == "plain");
  CHECK(route({.headers = {{"x-other", "1"}}}) == "plain");
}

TEST_CASE("a listener's route is for that listener only") {
  Routes route{RouteOf("inside").listener("internal"), RouteOf("any").prefix("/")};
  CHECK(route({.listener = "internal"}) == "inside");
  CHECK(route({.listener = "public"}) == "any");
}

TEST_CASE("a configured path is compared in its canonical form") {
  Routes route{RouteOf("space").path("/a%20b/%7euser"), RouteOf("umlaut").prefix("/x//%c3%a4")};
  CHECK(route({.path = "/a%20b/~user"}) == "space");
  CHECK(route({.path = "/x/%C3%A4/y"}) == "umlaut");
}

namespace {

bool under(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

/// The order of choice, written the slow way.
std::string choose_slowly(const std::vector<config::Route>& routes, const Request& request) {
  const config::Route* best = nullptr;
  size_t best_rank = 0;
  for (const config::Route& route : routes) {
    const config::Match& match = route.match;
    const bool path_fits = match.path.empty()
                               ? match.path_prefix.empty() || under(request.path, match.path_prefix)
                               : match.path == request.path;
    const bool method_fits =
        match.methods.empty() ||
        std::count(match.methods.begin(), match.methods.end(), request.method) > 0;
    if (!path_fits || !method_fits) continue;
    const std::string host = match.hosts.empty() ? "" : match.hosts.front();
    size_t rank = 1;  // any host
    if (host == request.host) {
      rank = 1000;
    } else if (host.starts_with("*.")) {
      if (!request.host.ends_with(host.substr(1))) continue;
      rank = 100 + host.size();
    } else if (!host.empty()) {
      continue;
    }
    rank = rank * 1000 + (match.path.empty() ? match.path_prefix.size() : 999);
    if (rank > best_rank) best = &route;
    best_rank = std::max(best_rank, rank);
  }
  return best == nullptr ? "-" : best->name;
}

std::string random_path(std::mt19937& random) {
  std::string path;
  for (auto n = random() % 4 + 1; n > 0; --n) path += std::string("/") + "abc"[random() % 3];
  return path;
}

}  // namespace

TEST_CASE("thousands of routes are chosen from as the slow way would") {
  std::mt19937 random(5);
  const std::string hosts[] = {"", "", "a.com", "b.a.com", "*.a.com", "*.com", "*.b.a.com"};
  const std::string requested[] = {"a.com", "b.a.com", "c.b.a.com", "x.com", "x.org"};
  for (size_t count : {10u, 100u, 3000u}) {
    std::vector<config::Route> routes;
    for (size_t i = 0; i < count; ++i) {
      RouteOf route(std::to_string(i));
      const std::string& host = hosts[random() % std::size(hosts)];
      if (!host.empty()) route.hosts({host});
      if (random() % 8 != 0)
        random() % 2 == 0 ? route.path(random_path(random)) : route.prefix(random_path(random));
      if (random() % 3 == 0) route.methods({random() % 2 == 0 ? "GET" : "PURGE"});
      routes.push_back(route);
    }
    Routes route(routes);
    for (int round = 0; round < 500; ++round) {
      const std::string path = random_path(random);
      const Request request{.path = path,
                            .host = requested[random() % std::size(requested)],
                            .method = random() % 2 == 0 ? "GET" : "PURGE"};
      CAPTURE(path);
      CAPTURE(request.host);
      CHECK(route(request) == choose_slowly(routes, request));
    }
  }
}

}  // namespace tidegate::proxy
