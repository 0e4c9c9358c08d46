// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "base/arena.h"
#include "base/result.h"

namespace tidegate::http {

/// A path in its one form, which serves matching and forwarding alike.
struct CanonicalPath {
  std::string_view text;
  /// The path came with %2F or %5C, which are kept as they are; a route must allow that, else it is
  /// BadRequest.
  bool has_encoded_slash = false;
};

/// What becomes of a run of slashes.
enum class Slashes : bool { Merge, Keep };

/// Brings the path of a request into canonical form (RFC 3986 6.2.2): runs of slashes become one,
/// unless they are to be kept; dot segments are resolved, also where a dot came as %2E; escaped
/// unreserved characters are decoded, once; `"<>^{|}` and the backtick, which no URI holds, are
/// escaped; the hex digits of escapes are upper case. "*" stays as it is.
///
/// BadRequest: no leading slash, a broken escape, %00, a bare backslash, '#', '?', a space, a
/// control or non-ASCII byte, more ".." than there are segments above, or dots that would become a
/// segment if an encoded slash beside them were decoded.
///
/// A path that is canonical already comes back as the same view; another one is written to `arena`.
/// Doing it twice changes nothing more.
Result<CanonicalPath> normalise_path(std::string_view raw, Arena& arena,
                                     Slashes slashes = Slashes::Merge);

/// Escapes in a query what `normalise_path` escapes in a path, and the backslash. Nothing else
/// changes: what escapes mean there is the origin's business. As above, what needs no change comes
/// back as the same view.
std::string_view normalise_query(std::string_view raw, Arena& arena);

}  // namespace tidegate::http
