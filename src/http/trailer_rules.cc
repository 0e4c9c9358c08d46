// SPDX-License-Identifier: Apache-2.0
#include "http/trailer_rules.h"

#include "http/header_table.h"

namespace tidegate::http {

bool sift_trailers(Headers& trailers, TrailersOf message) {
  const bool framed = trailers.has_any(headers_with(kFraming));
  trailers.remove_if([](const HeaderField& field) { return (traits_of(field) & kHeadOnly) != 0; });
  return !framed || message == TrailersOf::Response;
}

}  // namespace tidegate::http
