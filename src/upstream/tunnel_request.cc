// SPDX-License-Identifier: Apache-2.0
#include "upstream/tunnel_request.h"

#include <algorithm>

namespace tidegate::upstream {
namespace {

constexpr std::string_view kEnd = "\r\n\r\n";
constexpr size_t kMaxHead = 16 * 1024;
constexpr size_t kMaxDetail = 120;
constexpr unsigned kMaxInterims = 32;
constexpr size_t kStatusAt = 9;  // behind "HTTP/1.1 "

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

std::string TunnelRequest::text(std::string_view target, std::string_view authorization) {
  std::string head = "CONNECT ";
  head.append(target).append(" HTTP/1.1\r\nhost: ").append(target).append("\r\n");
  if (!authorization.empty())
    head.append("proxy-authorization: ").append(authorization).append("\r\n");
  return head + "\r\n";
}

TunnelRequest::State TunnelRequest::receive(std::string_view bytes, size_t& taken) {
  taken = 0;
  while (true) {
    const size_t before = head_.size();
    const std::string_view rest = bytes.substr(taken);
    head_.append(rest.substr(0, kMaxHead));
    const size_t end = head_.find(kEnd, before < kEnd.size() ? 0 : before - kEnd.size());
    if (end == std::string::npos) {
      taken += head_.size() - before;
      return head_.size() > kMaxHead ? State::Malformed : State::More;
    }
    head_.resize(end + kEnd.size());
    taken += head_.size() - before;
    const State state = judge();
    if (state != State::Interim) return state;
    // RFC 9110 15.2: more than one may come before the answer.
    if (++interims_ > kMaxInterims) return State::Malformed;
    head_.clear();
  }
}

TunnelRequest::State TunnelRequest::judge() const {
  const std::string_view line = head_;
  const bool version = line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ");
  if (!version || line.size() < kStatusAt + 3) return State::Malformed;
  const std::string_view status = line.substr(kStatusAt, 3);
  if (!std::ranges::all_of(status, is_digit)) return State::Malformed;
  if (status[0] == '1') return status == "101" ? State::Malformed : State::Interim;
  if (status[0] == '2') return State::Open;
  return status == "407" ? State::Unauthorized : State::Refused;
}

std::string TunnelRequest::detail() const {
  std::string line = head_.substr(0, std::min(head_.find('\r'), kMaxDetail));
  std::ranges::replace_if(
      line, [](char c) { return c < ' ' || c > '~'; }, '?');
  return "the outbound proxy answered " + line;
}

}  // namespace tidegate::upstream
