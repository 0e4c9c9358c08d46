// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"

namespace tidegate::net {

/// The keys that seal session tickets (RFC 5077), shared by all workers, so that a client may
/// resume at any of them; never on disk. The newest seals; it and the two before it open. So a
/// ticket lives two to three hours, and what sealed it is gone for good after that.
class TlsTicketKeys {
 public:
  struct Key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> cipher;
    std::array<unsigned char, 32> mac;
    ~Key();
  };
  using Keys = std::vector<std::shared_ptr<const Key>>;  // newest first

  static constexpr size_t kKept = 3;
  static constexpr auto kRotateEvery = std::chrono::hours(1);

  explicit TlsTicketKeys(TimePoint now);

  /// Call at least once an hour; makes as many new keys as hours have begun since.
  void rotate(TimePoint now);
  /// Any thread.
  std::shared_ptr<const Keys> keys() const;

 private:
  mutable std::mutex mutex_;  // of the pointer; taken once in a handshake
  std::shared_ptr<const Keys> keys_;
  TimePoint rotated_;
};

}  // namespace tidegate::net
