// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>

#include "http/headers.h"
#include "http/http1/scan.h"
#include "http/trailer_rules.h"

namespace tidegate::http::http1 {

/// A writable copy of a head in an arena, with kScanSlack zero bytes behind it. Field names are
/// lower-cased in it, and the parsed head points into it.
struct HeadBlock {
  char* begin;
  char* end;
};
HeadBlock copy_block(Arena& arena, std::string_view block);

/// Which fields are left out silently.
enum class FieldFilter : uint8_t {
  Keep,             // none
  DropUnderscores,  // those with '_' in their name
};

/// Reads the field lines in [at, end - 2), which HeadScan found complete: every line ends in CRLF,
/// and an empty one stands at the end. `lines`: how many. False: one is malformed (RFC 9112 5), be
/// it by a space before the colon, folding, a control byte or a name that is no token.
bool parse_fields(HeadBlock fields, uint32_t lines, FieldFilter filter, Headers& to);

struct FieldRules {
  FieldFilter filter;
  TrailersOf message;
};
/// The same for trailers, which are sifted too. False also where sift_trailers says so.
bool parse_trailers(std::string_view block, uint32_t lines, FieldRules rules, Headers& to);

}  // namespace tidegate::http::http1
