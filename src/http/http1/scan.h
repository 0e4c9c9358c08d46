// SPDX-License-Identifier: Apache-2.0
// Searches that run over every byte of a head, 16 at a time where SSE2 is there.
#pragma once
#include <cstddef>
#include <cstring>

#include "http/http1/bytes.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace tidegate::http::http1 {

/// Searches that know their end by a byte they stop at may read this far past it.
inline constexpr size_t kScanSlack = 16;

/// First line feed in [at, end), or `end`.
inline const char* find_line_feed(const char* at, const char* end) {
#ifdef __SSE2__
  const __m128i line_feed = _mm_set1_epi8('\n');
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const int hits = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, line_feed));
    if (hits != 0) return at + __builtin_ctz(static_cast<unsigned>(hits));
  }
#endif
  while (at != end && *at != '\n') ++at;
  return at;
}

/// First byte that no field value holds: a control byte but for tab. REQUIRES: there is one at or
/// after `at`, and kScanSlack readable bytes follow it.
inline char* find_value_end(char* at) {
#ifdef __SSE2__
  const __m128i last_control = _mm_set1_epi8(0x1f);
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  for (;; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    const __m128i bad = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), low);
    const int hits = _mm_movemask_epi8(_mm_or_si128(bad, _mm_cmpeq_epi8(bytes, del)));
    if (hits != 0) return at + __builtin_ctz(static_cast<unsigned>(hits));
  }
#else
  while (!is_control(*at)) ++at;
  return at;
#endif
}

/// First byte that ends a part of a request target: anything but visible ASCII, '#', or `also`.
/// REQUIRES: as find_value_end.
inline const char* find_target_end(const char* at, char also) {
#ifdef __SSE2__
  const __m128i first_visible = _mm_set1_epi8('!');
  const __m128i del = _mm_set1_epi8(0x7f);
  const __m128i hash = _mm_set1_epi8('#');
  const __m128i other = _mm_set1_epi8(also);
  for (;; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    // Signed comparison: bytes from 0x80 on are negative, so they are out as well.
    const __m128i outside =
        _mm_or_si128(_mm_cmplt_epi8(bytes, first_visible), _mm_cmpeq_epi8(bytes, del));
    const __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(bytes, hash), _mm_cmpeq_epi8(bytes, other));
    const int hits = _mm_movemask_epi8(_mm_or_si128(outside, marks));
    if (hits != 0) return at + __builtin_ctz(static_cast<unsigned>(hits));
  }
#else
  while (*at > 0x20 && *at < 0x7f && *at != '#' && *at != also) ++at;
  return at;
#endif
}

}  // namespace tidegate::http::http1
