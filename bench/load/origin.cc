// SPDX-License-Identifier: Apache-2.0
// bench_origin PORT…: the fastest honest HTTP/1.1 origin for measuring what stands before it. One
// thread, keep-alive, pipelining. The first PORT is group a, the next b, and so on.
//   GET /          128 bytes
//   GET /size/N    N bytes
//   GET /head      "group=a\n" and the request head as received, to see what a policy changed
// A request behind one for a large reply must wait for it: those are not to be pipelined.
// Requests may carry a body with Content-Length; chunked request bodies are not read.
#include <algorithm>
#include <unordered_map>

#include "heads.h"
#include "sockets.h"

namespace bench {
namespace {

constexpr size_t kReadSize = 64 * 1024;
constexpr size_t kMaxReplySize = 128 * 1024 * 1024;
constexpr size_t kLarge =
    256 * 1024;  // bodies from here on are written from one block, over and over

struct Client {
  char group = 'a';
  size_t body_left = 0;  // of the request being skipped
  std::string input;     // a head that is not complete yet
  std::string pending;   // replies that the socket did not take
  size_t filler = 0;     // bytes of a large body that are still to be written behind `pending`
  bool close_after = false;
};

/// The size of a body, which only requests other than GET are searched for.
size_t body_size(std::string_view head) {
  return head.starts_with("GET ") ? 0 : content_length(head);
}

void append_head(std::string& out, size_t size) {
  out += "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nX-Origin-Node: n1\r\n";
  out += "Content-Length: ";
  out += std::to_string(size);
  out += "\r\n\r\n";
}

void append_reply(std::string& out, std::string_view body) {
  append_head(out, body.size());
  out += body;
}

void answer(Client& client, std::string_view head, std::string& out) {
  static const std::string body128(128, 'x');
  static const std::string small_reply = [] {
    std::string reply;
    append_reply(reply, body128);
    return reply;
  }();
  const std::string_view path = head.substr(head.find(' ') + 1);
  if (path.starts_with("/size/")) {
    const size_t size = std::min(number_at(path.substr(6)), kMaxReplySize);
    if (size >= kLarge) {
      append_head(out, size);
      client.filler = size;
    } else {
      append_reply(out, std::string(size, 'x'));
    }
  } else if (path.starts_with("/head ")) {
    append_reply(out, std::string("group=") + client.group + "\n" + std::string(head));
  } else {
    out += small_reply;
  }
  client.body_left = body_size(head);
  client.close_after = contains_header(head, "\r\nconnection: close");
}

/// Answers every complete request in `bytes`; keeps an incomplete head for the next read.
void answer_all(Client& client, std::string_view bytes, std::string& out) {
  std::string joined;
  if (!client.input.empty()) {
    joined = std::move(client.input) + std::string(bytes);
    client.input.clear();
    bytes = joined;
  }
  while (!bytes.empty() && !client.close_after) {
    const size_t skipped = std::min(client.body_left, bytes.size());
    client.body_left -= skipped;
    bytes.remove_prefix(skipped);
    if (client.body_left > 0 || bytes.empty()) return;
    const size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) {
      client.input = bytes;
      return;
    }
    answer(client, bytes.substr(0, end + 4), out);
    bytes.remove_prefix(end + 4);
  }
}

class Origin {
 public:
  explicit Origin(int port_count, char** ports) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (int i = 0; i < port_count; ++i) {
      const int fd = listen_on(static_cast<uint16_t>(number_at(ports[i])));
      listeners_[fd] = static_cast<char>('a' + i);
      watch(epoll_, EPOLL_CTL_ADD, fd, EPOLLIN);
    }
  }

  [[noreturn]] void run() {
    epoll_event events[256];
    for (;;) {
      const int count = ::epoll_wait(epoll_, events, 256, -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[i].data.fd;
        if (const auto at = listeners_.find(fd); at != listeners_.end()) {
          accept_all(fd, at->second);
        } else if (!serve(fd, events[i].events)) {
          ::close(fd);
          clients_.erase(fd);
        }
      }
    }
  }

 private:
  void accept_all(int listener, char group) {
    for (int fd = accept_from(listener); fd >= 0; fd = accept_from(listener)) {
      clients_[fd].group = group;
      watch(epoll_, EPOLL_CTL_ADD, fd, EPOLLIN);
    }
  }

  /// False when the connection has ended.
  bool serve(int fd, uint32_t events) {
    Client& client = clients_[fd];
    if (events & EPOLLOUT) return flush(fd, client);
    static char buffer[kReadSize];
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n <= 0) return n < 0 && errno == EAGAIN;
    out_.clear();
    answer_all(client, {buffer, static_cast<size_t>(n)}, out_);
    if (out_.empty()) return true;
    switch (write(fd, out_, client)) {
      case Write::Done:
        return !client.close_after;
      case Write::Blocked:
        watch(epoll_, EPOLL_CTL_MOD, fd, EPOLLOUT);
        return true;
      case Write::Broken:
        return false;
    }
    return false;
  }

  /// `bytes`, then what is left of a large body.
  Write write(int fd, std::string_view bytes, Client& client) {
    static const std::string block(kLarge, 'x');
    Write result = bytes.empty() ? Write::Done : write_or_keep(fd, bytes, client.pending);
    while (result == Write::Done && client.filler > 0) {
      const ssize_t n = ::send(fd, block.data(), std::min(client.filler, kLarge), MSG_NOSIGNAL);
      if (n < 0) return errno == EAGAIN ? Write::Blocked : Write::Broken;
      client.filler -= static_cast<size_t>(n);
    }
    return result;
  }

  bool flush(int fd, Client& client) {
    const std::string bytes = std::move(client.pending);
    client.pending.clear();
    const Write result = write(fd, bytes, client);
    if (result == Write::Done) watch(epoll_, EPOLL_CTL_MOD, fd, EPOLLIN);
    return result != Write::Broken && !(result == Write::Done && client.close_after);
  }

  int epoll_;
  std::string out_;
  std::unordered_map<int, char> listeners_;
  std::unordered_map<int, Client> clients_;
};

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_origin PORT...\n");
    return 2;
  }
  bench::Origin(argc - 1, argv + 1).run();
}
