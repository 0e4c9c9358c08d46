// SPDX-License-Identifier: Apache-2.0
#include "net/resolver.h"

#include <ares.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include <algorithm>

#include "net/event_loop.h"

namespace tidegate::net {
namespace {

constexpr int kInternet = 1;  // the class of records

bool initialise_library() {
  static const bool kDone = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
  return kDone;
}

std::string joined(const std::vector<std::string>& servers) {
  std::string list;
  for (const std::string& server : servers) list += (list.empty() ? "" : ",") + server;
  return list;
}

LookupState state_of(int status) {
  const bool none = status == ARES_ENODATA || status == ARES_ENOTFOUND;
  return none ? LookupState::None : LookupState::Failed;
}

}  // namespace

struct Resolver::Socket {
  Resolver& resolver;
  event on{};
};

struct Resolver::Query {
  Resolver& resolver;
  DnsRecordType type;
  OnAnswer on_answer;
};

Resolver::Resolver(EventLoop& loop)
    : loop_(loop),
      timer_(
          [](void* self) {
            static_cast<Resolver*>(self)->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
          },
          this) {}

Fallible<std::unique_ptr<Resolver>> Resolver::make(EventLoop& loop, const Options& options) {
  const auto failed = [](int status) {
    return tl::unexpected(std::string("cannot set up DNS: ") + ares_strerror(status));
  };
  if (!initialise_library()) return failed(ARES_ENOTINITIALIZED);
  std::unique_ptr<Resolver> made(new Resolver(loop));
  ares_options settings{};
  settings.timeout =
      static_cast<int>(std::max<int64_t>(options.timeout / std::chrono::milliseconds(1), 1));
  settings.tries = static_cast<int>(options.attempts);
  settings.sock_state_cb_data = made.get();
  settings.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<Resolver*>(self)->on_socket_state(fd, readable != 0, writable != 0);
  };
  const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
  int status = ares_init_options(&made->channel_, &settings, mask);
  if (status != ARES_SUCCESS) {
    made->channel_ = nullptr;
    return failed(status);
  }
  if (!options.servers.empty()) {
    status = ares_set_servers_ports_csv(made->channel_, joined(options.servers).c_str());
    if (status != ARES_SUCCESS) return failed(status);
  }
  return made;
}

Resolver::~Resolver() {
  ending_ = true;
  if (channel_ != nullptr) ares_destroy(channel_);
  for (const auto& [fd, socket] : sockets_) event_del(&socket->on);
}

void Resolver::look_up(const std::string& name, DnsRecordType type, OnAnswer on_answer) {
  auto* query = new Query{*this, type, std::move(on_answer)};
  ares_search(channel_, name.c_str(), kInternet, static_cast<int>(type), &on_answered, query);
  schedule();
}

void Resolver::on_answered(void* raw, int status, int, unsigned char* bytes, int size) {
  const std::unique_ptr<Query> query(static_cast<Query*>(raw));
  if (query->resolver.ending_) return;
  Lookup lookup;
  if (status != ARES_SUCCESS) {
    lookup.state = state_of(status);
    lookup.detail = ares_strerror(status);
    return query->on_answer(std::move(lookup));
  }
  const std::string_view message(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  if (auto answer = parse_dns_answer(message, query->type)) {
    const bool any = !answer->addresses.empty() || !answer->services.empty();
    lookup.state = any ? LookupState::Found : LookupState::None;
    if (!any) lookup.detail = "the answer has no record of that type";
    lookup.answer = std::move(*answer);
  } else {
    lookup.detail = "the answer is malformed";
  }
  query->on_answer(std::move(lookup));
}

void Resolver::on_socket_state(int fd, bool readable, bool writable) {
  const auto known = sockets_.find(fd);
  if (known != sockets_.end()) {
    event_del(&known->second->on);
    if (!readable && !writable) {
      sockets_.erase(known);
      return;
    }
  }
  if (!readable && !writable) return;
  auto& socket = sockets_[fd];
  if (socket == nullptr) socket = std::make_unique<Socket>(*this);
  const int events = EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
  event_assign(
      &socket->on, loop_.base(), fd, static_cast<short>(events),
      [](evutil_socket_t ready, short what, void* self) {
        static_cast<Socket*>(self)->resolver.process(what & EV_READ ? ready : ARES_SOCKET_BAD,
                                                     what & EV_WRITE ? ready : ARES_SOCKET_BAD);
      },
      socket.get());
  event_add(&socket->on, nullptr);
}

// A callback may end this object only later, by way of the loop.
void Resolver::process(int read_fd, int write_fd) {
  EventLoop& loop = loop_;
  ares_process_fd(channel_, read_fd, write_fd);
  schedule();
  loop.flush_dirty();
}

void Resolver::schedule() {
  timeval wait{};
  if (ares_timeout(channel_, nullptr, &wait) == nullptr) return timer_.disarm();
  const auto after = std::chrono::seconds(wait.tv_sec) + std::chrono::microseconds(wait.tv_usec);
  loop_.timers().arm(timer_, std::max<Duration>(after, std::chrono::milliseconds(1)));
}

}  // namespace tidegate::net
