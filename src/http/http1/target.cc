// SPDX-License-Identifier: Apache-2.0
#include "http/http1/target.h"

#include <algorithm>

#include "http/authority.h"
#include "http/http1/bytes.h"

namespace tidegate::http::http1 {
namespace {

void split_query(std::string_view path_and_query, RequestHead& head) {
  const size_t mark = path_and_query.find('?');
  head.path = path_and_query.substr(0, mark);
  head.has_query = mark != std::string_view::npos;
  if (head.has_query) head.query = path_and_query.substr(mark + 1);
}

bool parse_absolute(RequestHead& head) {
  const size_t colon = head.target.find("://");
  if (colon == std::string_view::npos) return false;
  const std::string_view scheme = head.target.substr(0, colon);
  if (equals_ignoring_case(scheme, "http")) {
    head.scheme = "http";
  } else if (equals_ignoring_case(scheme, "https")) {
    head.scheme = "https";
  } else {
    return false;
  }
  const std::string_view rest = head.target.substr(colon + 3);
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  head.authority = rest.substr(0, end);
  if (!is_authority(head.authority)) return false;
  split_query(rest.substr(end), head);
  if (head.path.empty()) {
    // RFC 9112 3.2.4: OPTIONS for the whole server, as a proxy is asked for it.
    head.path = head.method == Method::Options && !head.has_query ? "*" : "/";
  }
  return true;
}

}  // namespace

bool parse_target(RequestHead& head) {
  if (head.method == Method::Connect) {
    head.authority = head.target;
    head.path = "/";
    return is_authority(head.target) && head.target.back() != ':' &&
           head.target.rfind(':') != std::string_view::npos && head.target.back() != ']';
  }
  if (head.target.front() == '/') {
    split_query(head.target, head);
    return true;
  }
  if (head.target == "*") {
    head.path = head.target;
    return head.method == Method::Options;
  }
  return parse_absolute(head);
}

}  // namespace tidegate::http::http1
