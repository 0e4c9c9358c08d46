// SPDX-License-Identifier: Apache-2.0
// How a process that ends soon gives an address to its successor, but keeps it as long as nobody
// asks: both know a name in the network namespace that follows from the address.
#pragma once
#include <functional>
#include <string>

#include "net/event_loop.h"
#include "net/owned_fd.h"

struct event;

namespace tidegate::net {

/// Offers an address that this process listens on. `address`: "port 9090" or a path; the same words
/// as the successor's.
class AddressOffer {
 public:
  /// `on_asked`, in the loop: a process of the same user wants the address. It may destroy this.
  AddressOffer(EventLoop& loop, const std::string& address, std::function<void()> on_asked);
  ~AddressOffer();
  AddressOffer(const AddressOffer&) = delete;
  AddressOffer& operator=(const AddressOffer&) = delete;

 private:
  void on_readable();

  EventLoop& loop_;
  OwnedFd fd_;
  event* event_ = nullptr;
  const std::function<void()> on_asked_;
};

/// Asks whoever offers the address to close it, which takes a moment; false: nobody offers it.
bool ask_for_address(const std::string& address);

}  // namespace tidegate::net
