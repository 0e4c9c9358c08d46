// SPDX-License-Identifier: Apache-2.0
#include "net/tls_ticket_keys.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <stdexcept>

namespace tidegate::net {
namespace {

std::shared_ptr<const TlsTicketKeys::Key> new_key() {
  auto key = std::make_shared<TlsTicketKeys::Key>();
  const auto fill = [](auto& bytes) {
    return RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1;
  };
  // Without random bytes nothing that TLS promises holds, so there is no going on.
  if (!fill(key->name) || !fill(key->cipher) || !fill(key->mac)) {
    throw std::runtime_error("OpenSSL has no random bytes");
  }
  return key;
}

}  // namespace

TlsTicketKeys::Key::~Key() {
  OPENSSL_cleanse(cipher.data(), cipher.size());
  OPENSSL_cleanse(mac.data(), mac.size());
}

TlsTicketKeys::TlsTicketKeys(TimePoint now)
    : keys_(std::make_shared<const Keys>(Keys{new_key()})), rotated_(now) {}

void TlsTicketKeys::rotate(TimePoint now) {
  if (now - rotated_ < kRotateEvery) return;
  Keys next = *keys();
  const auto hours = (now - rotated_) / kRotateEvery;
  for (auto i = std::min<decltype(hours)>(hours, kKept); i > 0; --i) {
    next.insert(next.begin(), new_key());
  }
  if (next.size() > kKept) next.resize(kKept);
  rotated_ += hours * kRotateEvery;
  auto made = std::make_shared<const Keys>(std::move(next));
  const std::lock_guard lock(mutex_);
  keys_ = std::move(made);
}

std::shared_ptr<const TlsTicketKeys::Keys> TlsTicketKeys::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

}  // namespace tidegate::net
