// SPDX-License-Identifier: Apache-2.0
// bench_paced PORT RATE SECONDS [CONNECTIONS [PATH | once:FIRST]]: sends RATE requests a second,
// whatever becomes of those before (an open loop), and prints a line for each:
//   WHEN_US STATUS LATENCY_US
// WHEN_US is since the start, LATENCY_US since the request was due, waiting for a free connection
// included. STATUS is 0 where the connection broke before the response was complete, 1 where none
// came within five seconds of the end. PATH is for GETs; with once:FIRST they are POST /once/ID
// with IDs from FIRST on. To stderr at the end: how late the program was itself at worst, in
// microseconds.
#include <chrono>
#include <csignal>
#include <deque>
#include <vector>

#include "heads.h"
#include "sockets.h"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
constexpr auto kPatience = std::chrono::seconds(5);

struct Load {
  uint16_t port;
  double rate;
  size_t seconds;
  size_t connections;
  std::string path;
  bool once = false;
  size_t first_id = 0;
};

struct Sent {
  int64_t due = 0;
  int64_t latency = 0;
  size_t status = 1;
};

struct Connection {
  int fd = -1;
  size_t request = 0;  // that runs, if busy
  bool busy = false;
  std::string input;
};

class Paced {
 public:
  explicit Paced(Load load)
      : load_(std::move(load)),
        total_(static_cast<size_t>(load_.rate * static_cast<double>(load_.seconds))) {
    sent_.resize(total_);
    connections_.resize(load_.connections);
    for (size_t i = 0; i < connections_.size(); ++i) open(i);
  }

  void run() {
    start_ = Clock::now();
    const auto end = start_ + std::chrono::seconds(load_.seconds) + kPatience;
    while (done_ < total_ && Clock::now() < end) {
      epoll_event events[256];
      const int count = ::epoll_wait(epoll_, events, 256, next_ < total_ ? 1 : 50);
      for (int i = 0; i < count; ++i) read(events[i].data.u32);
      add_due();
      while (!waiting_.empty() && !idle_.empty()) assign();
    }
  }

  void print() const {
    std::string out;
    for (const Sent& sent : sent_) {
      out += std::to_string(sent.due) + ' ' + std::to_string(sent.status) + ' ' +
             std::to_string(sent.latency) + '\n';
    }
    std::fwrite(out.data(), 1, out.size(), stdout);
    std::fprintf(stderr, "%lld\n", static_cast<long long>(latest_));
  }

 private:
  int64_t elapsed() const {
    return std::chrono::duration_cast<microseconds>(Clock::now() - start_).count();
  }

  void open(size_t index) {
    Connection& connection = connections_[index];
    connection.fd = connect_to(load_.port);
    connection.input.clear();
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<uint32_t>(index);
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) != 0) fail("epoll_ctl");
    idle_.push_back(index);
  }

  void add_due() {
    const int64_t now = elapsed();
    for (; next_ < total_; ++next_) {
      const auto due = static_cast<int64_t>(static_cast<double>(next_) * 1e6 / load_.rate);
      if (due > now) return;
      latest_ = std::max(latest_, now - due);
      sent_[next_].due = now;
      waiting_.push_back(next_);
    }
  }

  void assign() {
    const size_t index = idle_.front();
    idle_.pop_front();
    Connection& connection = connections_[index];
    connection.request = waiting_.front();
    connection.busy = true;
    waiting_.pop_front();
    const std::string text = request(connection.request);
    // A new connection to loopback is made at once, so that it takes a small request.
    const ssize_t n = ::send(connection.fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n != static_cast<ssize_t>(text.size())) broken(index);
  }

  std::string request(size_t number) const {
    if (!load_.once) return "GET " + load_.path + " HTTP/1.1\r\nHost: bench.example\r\n\r\n";
    return "POST /once/" + std::to_string(load_.first_id + number) +
           " HTTP/1.1\r\nHost: bench.example\r\nContent-Length: 2\r\n\r\nhi";
  }

  void read(size_t index) {
    Connection& connection = connections_[index];
    char buffer[16 * 1024];
    const ssize_t n = ::read(connection.fd, buffer, sizeof buffer);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return broken(index);
    connection.input.append(buffer, static_cast<size_t>(n));
    const size_t head_end = connection.input.find("\r\n\r\n");
    if (head_end == std::string::npos) return;
    const std::string_view head = std::string_view(connection.input).substr(0, head_end + 4);
    if (connection.input.size() < head.size() + content_length(head)) return;
    finish(connection, number_at(head.substr(head.find(' ') + 1)));
    if (contains_header(head, "\r\nconnection: close")) {
      ::close(connection.fd);
      return open(index);
    }
    connection.input.clear();
    idle_.push_back(index);
  }

  void finish(Connection& connection, size_t status) {
    if (!connection.busy) return;
    connection.busy = false;
    Sent& sent = sent_[connection.request];
    sent.status = status;
    sent.latency = elapsed() - sent.due;
    ++done_;
  }

  void broken(size_t index) {
    Connection& connection = connections_[index];
    if (!connection.busy) std::erase(idle_, index);
    finish(connection, 0);
    ::close(connection.fd);
    open(index);
  }

  const Load load_;
  const size_t total_;
  const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  Clock::time_point start_;
  std::vector<Connection> connections_;
  std::vector<Sent> sent_;
  std::deque<size_t> idle_;     // connections
  std::deque<size_t> waiting_;  // requests that are due
  size_t next_ = 0;
  size_t done_ = 0;
  int64_t latest_ = 0;
};

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using bench::number_at;
  if (argc < 4 || argc > 6) {
    std::fprintf(stderr,
                 "usage: bench_paced PORT RATE SECONDS [CONNECTIONS [PATH | once:FIRST]]\n");
    return 2;
  }
  bench::Load load{static_cast<uint16_t>(number_at(argv[1])),
                   static_cast<double>(number_at(argv[2])), number_at(argv[3]),
                   argc > 4 ? number_at(argv[4]) : 64, argc > 5 ? argv[5] : "/"};
  constexpr std::string_view kOnce = "once:";
  load.once = load.path.starts_with(kOnce);
  if (load.once) load.first_id = number_at(std::string_view(load.path).substr(kOnce.size()));
  bench::Paced paced(std::move(load));
  paced.run();
  paced.print();
}
