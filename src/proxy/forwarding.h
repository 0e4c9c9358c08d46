// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/ip.h"
#include "http/message.h"

namespace tidegate::proxy {

/// What a downstream connection knows of the client at its other end; filled when it is accepted.
/// The texts outlive the connection's exchanges.
struct Peer {
  IpAddress ip;
  std::string_view ip_text;                            // ip.write(); "unix" by a unix socket
  std::string_view scheme = "http";                    // of the transport: "http", "https"
  const std::vector<Cidr>* trusted_proxies = nullptr;  // the listener's; nullptr: none
  uint16_t port = 0;                                   // the client's
  uint16_t listener_port = 0;   // that the client connected to; 0: a unix socket
  bool trusted = false;         // contains(*trusted_proxies, ip)
  bool by_unix_socket = false;  // then ip is empty, and port 0
};

/// Makes request ids: 32 hex digits from a generator that is seeded once, so that no request costs
/// a system call. Ids are unique, not secret. One per worker.
class IdGenerator {
 public:
  /// Seeded by the kernel.
  IdGenerator();
  /// Always the same ids; for tests.
  explicit IdGenerator(uint64_t seed);

  std::string_view next(Arena& arena);

 private:
  uint64_t random();

  std::array<uint64_t, 4> state_{};
};

/// Who a request came from, as far as can be believed.
struct Forwarded {
  IpAddress client_ip;
  std::string_view client_ip_text;
  std::string_view request_id;
};

/// Makes the forwarding headers of a request true, and says who the client is.
///
/// From a peer that is not trusted, X-Forwarded-*, Forwarded, X-Real-IP, X-Request-Id and their
/// twins spelt with underscores are dropped, and X-Forwarded-For, -Proto, -Host and -Port set
/// afresh. From a trusted one the peer's address is appended to X-Forwarded-For, and the others are
/// kept. Where the peer sent no X-Forwarded-For, what is missing is taken from its Forwarded; else
/// it is set: -Proto and -Host as the peer used them, -Port by the host that is named, or else the
/// scheme. The client is the rightmost address of X-Forwarded-For (of Forwarded, where there is no
/// X-Forwarded-For) that is not itself a trusted proxy. A peer that came by a unix socket has no
/// address to append.
///
/// X-Request-Id is kept if a trusted peer sent a sound one (1 to 128 letters, digits or
/// "-._~:+/=@"), else made. REQUIRES: head.authority has been checked.
Forwarded apply_forwarding(http::RequestHead& head, const Peer& peer, IdGenerator& ids);

}  // namespace tidegate::proxy
