// SPDX-License-Identifier: Apache-2.0
// The input is what somebody sends where a PROXY protocol header is due. Whatever it is:
//
// - what it says does not depend on how it is split, nor on what comes after it;
// - a header is never larger than the limit, nor than what was given;
// - what it says can be written, in both versions, and is read back the same.
#include <algorithm>
#include <string>

#include "fuzz/require.h"
#include "net/proxy_protocol.h"

namespace tidegate::net {
namespace {

using fuzz::require;
using fuzz::require_equal;

std::string said(const ProxyHeader& header) {
  if (!header.has_addresses) return "nothing";
  return header.source.to_string() + " " + header.destination.to_string();
}

void check_every_split(std::string_view bytes, const ProxyParsed& whole) {
  // Beyond its end nothing matters, and no more than the limit is ever waited for.
  const size_t most = std::min(bytes.size(), kMaxProxyHeader + 1);
  for (size_t size = 0; size <= most; ++size) {
    const ProxyParsed part = parse_proxy_header(bytes.substr(0, size));
    if (part.state == ProxyParse::More) continue;
    require(part.state == whole.state, "a prefix is judged as the whole");
    if (part.state == ProxyParse::Done) require(part.size == whole.size, "of the same size");
    return;
  }
  require(bytes.size() <= most && whole.state == ProxyParse::More, "more than the limit waits");
}

void check_round_trip(const ProxyHeader& header) {
  for (const int version : {1, 2}) {
    const std::string written = write_proxy_header(version, header.source, header.destination);
    const ProxyParsed again = parse_proxy_header(written);
    require(again.state == ProxyParse::Done && again.size == written.size(), "what is written");
    require_equal(said(again.header), said(header), "is read back");
  }
}

}  // namespace
}  // namespace tidegate::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidegate::net;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const ProxyParsed whole = parse_proxy_header(bytes);
  tidegate::fuzz::require(whole.size <= bytes.size() && whole.size <= kMaxProxyHeader, "size");
  check_every_split(bytes, whole);
  if (whole.state == ProxyParse::Done) check_round_trip(whole.header);
  return 0;
}
