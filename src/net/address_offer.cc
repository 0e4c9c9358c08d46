// SPDX-License-Identifier: Apache-2.0
#include "net/address_offer.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <functional>

namespace tidegate::net {
namespace {

struct Name {
  sockaddr_un address{};
  socklen_t length = 0;
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&address); }
};

// An abstract socket: as ports are, it is of the network namespace, and it goes with the process.
Name name_of(const std::string& address) {
  Name name;
  name.address.sun_family = AF_UNIX;
  // A path may be as long as such a name.
  const std::string text = "tidegate-offer-" + std::to_string(::geteuid()) + "-" +
                           std::to_string(std::hash<std::string>{}(address));
  text.copy(name.address.sun_path + 1, sizeof name.address.sun_path - 1);
  name.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  return name;
}

OwnedFd open_socket() {
  return OwnedFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// Takes what has come; whether some of it is of this user: the names are open to all.
bool take_question(int fd) {
  constexpr int kMost = 16;  // at a time: anybody on this machine may send them
  bool asked = false;
  for (int i = 0; i < kMost; ++i) {
    char byte;
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(fd, &message, 0) < 0) return asked;
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_type != SCM_CREDENTIALS) continue;
    const uid_t uid = reinterpret_cast<const ucred*>(CMSG_DATA(header))->uid;
    asked = asked || uid == ::geteuid();
  }
  return asked;
}

}  // namespace

AddressOffer::AddressOffer(EventLoop& loop, const std::string& address,
                           std::function<void()> on_asked)
    : loop_(loop), fd_(open_socket()), on_asked_(std::move(on_asked)) {
  const int on = 1;
  const Name name = name_of(address);
  if (!fd_ || ::setsockopt(fd_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
      ::bind(fd_.get(), name.raw(), name.length) != 0) {
    return;  // it keeps the address, as if nobody asked
  }
  event_ = event_new(
      loop.base(), fd_.get(), EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<AddressOffer*>(self)->on_readable(); },
      this);
  event_add(event_, nullptr);
}

AddressOffer::~AddressOffer() {
  if (event_ != nullptr) event_free(event_);
}

void AddressOffer::on_readable() {
  EventLoop& loop = loop_;
  const auto on_asked = on_asked_;
  if (take_question(fd_.get())) on_asked();
  loop.flush_dirty();
}

bool ask_for_address(const std::string& address) {
  const OwnedFd fd = open_socket();
  const Name name = name_of(address);
  return fd && ::sendto(fd.get(), "?", 1, MSG_NOSIGNAL, name.raw(), name.length) == 1;
}

}  // namespace tidegate::net
