// SPDX-License-Identifier: Apache-2.0
// bench_counted_origin PORT FILE [DELAY_US [STATUS]]: an HTTP/1.1 origin that may die at any moment
// and still tell what it has done, since it counts in a file that is mapped into memory.
//   any GET          counted in the file's first eight bytes
//   POST /once/ID    counted in byte 64 + ID, before the answer
// Every answer comes DELAY_US after its request, with STATUS. One request at a time on a
// connection. SIGTERM: no more connections, idle ones are closed, what runs is answered. It prints
// "listening".
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <chrono>
#include <csignal>
#include <deque>
#include <unordered_map>

#include "heads.h"
#include "sockets.h"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kFirstId = 64;

/// The counts, which outlive this process however it ends.
class Counts {
 public:
  explicit Counts(const char* path) {
    const int fd = ::open(path, O_RDWR | O_CLOEXEC);
    struct stat status {};
    if (fd < 0 || ::fstat(fd, &status) != 0) fail(path);
    size_ = static_cast<size_t>(status.st_size);
    void* memory = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) fail("mmap");
    bytes_ = static_cast<unsigned char*>(memory);
    ::close(fd);
  }

  // Several origins count in the same file.
  void note(std::string_view head) {
    constexpr std::string_view kOnce = "POST /once/";
    if (!head.starts_with(kOnce)) {
      __atomic_add_fetch(reinterpret_cast<uint64_t*>(bytes_), 1, __ATOMIC_RELAXED);
      return;
    }
    const size_t at = kFirstId + number_at(head.substr(kOnce.size()));
    if (at < size_) __atomic_add_fetch(bytes_ + at, 1, __ATOMIC_RELAXED);
  }

 private:
  unsigned char* bytes_ = nullptr;
  size_t size_ = 0;
};

struct Client {
  uint64_t number = 0;  // descriptors are used again, numbers are not
  std::string input;
  bool answering = false;
};

struct Answer {
  Clock::time_point due;
  int fd;
  uint64_t number;
};

std::string reply_with(size_t status) {
  const std::string body(64, 'x');
  return "HTTP/1.1 " + std::to_string(status) +
         " As asked\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

int shared_listener(uint16_t port) {
  const int fd = tcp_socket();
  // The runner holds the port while no origin does.
  set_flag(fd, SOL_SOCKET, SO_REUSEADDR);
  set_flag(fd, SOL_SOCKET, SO_REUSEPORT);
  const sockaddr_in address = loopback(port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
  if (::listen(fd, 4096) != 0) fail("listen");
  return fd;
}

int termination() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) fail("sigprocmask");
  return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

class CountedOrigin {
 public:
  CountedOrigin(uint16_t port, const char* file, size_t delay_us, size_t status)
      : counts_(file), delay_(delay_us), reply_(reply_with(status)) {
    listener_ = shared_listener(port);
    watch(epoll_, EPOLL_CTL_ADD, listener_, EPOLLIN);
    watch(epoll_, EPOLL_CTL_ADD, signal_, EPOLLIN);
  }

  void run() {
    while (listener_ >= 0 || !clients_.empty()) {
      epoll_event events[64];
      const int count = ::epoll_wait(epoll_, events, 64, wait_ms());
      for (int i = 0; i < count; ++i) {
        const int fd = events[i].data.fd;
        if (fd == listener_) {
          accept_all();
        } else if (fd == signal_) {
          stop();
        } else {
          serve(fd);
        }
      }
      send_due();
    }
  }

 private:
  int wait_ms() const {
    if (answers_.empty()) return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(answers_.front().due - Clock::now());
    return std::max(0, static_cast<int>(left.count()));
  }

  void accept_all() {
    for (int fd = accept_from(listener_); fd >= 0; fd = accept_from(listener_)) {
      clients_[fd].number = ++last_number_;
      watch(epoll_, EPOLL_CTL_ADD, fd, EPOLLIN);
    }
  }

  void stop() {
    ::close(signal_);
    ::close(listener_);
    listener_ = -1;
    for (auto at = clients_.begin(); at != clients_.end();) {
      const auto next = std::next(at);
      if (!at->second.answering && at->second.input.empty()) end(at->first);
      at = next;
    }
  }

  void end(int fd) {
    ::close(fd);
    clients_.erase(fd);
  }

  void serve(int fd) {
    const auto at = clients_.find(fd);
    if (at == clients_.end()) return;
    char buffer[16 * 1024];
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return end(fd);
    Client& client = at->second;
    client.input.append(buffer, static_cast<size_t>(n));
    const size_t head_end = client.input.find("\r\n\r\n");
    if (head_end == std::string::npos) return;
    const std::string_view head = std::string_view(client.input).substr(0, head_end + 4);
    if (client.input.size() < head.size() + content_length(head)) return;
    counts_.note(head);
    client.input.clear();
    client.answering = true;
    answers_.push_back({Clock::now() + delay_, fd, client.number});
  }

  void send_due() {
    const Clock::time_point now = Clock::now();
    for (; !answers_.empty() && answers_.front().due <= now; answers_.pop_front()) {
      const auto at = clients_.find(answers_.front().fd);
      if (at == clients_.end() || at->second.number != answers_.front().number) continue;
      at->second.answering = false;
      const ssize_t n = ::send(at->first, reply_.data(), reply_.size(), MSG_NOSIGNAL);
      if (n != static_cast<ssize_t>(reply_.size()) || listener_ < 0) end(at->first);
    }
  }

  Counts counts_;
  const std::chrono::microseconds delay_;
  const std::string reply_;
  const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  const int signal_ = termination();
  int listener_ = -1;
  uint64_t last_number_ = 0;
  std::unordered_map<int, Client> clients_;
  std::deque<Answer> answers_;  // all wait equally long, so the first is the first due
};

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  if (argc < 3 || argc > 5) {
    std::fprintf(stderr, "usage: bench_counted_origin PORT FILE [DELAY_US [STATUS]]\n");
    return 2;
  }
  const size_t delay = argc > 3 ? bench::number_at(argv[3]) : 0;
  const size_t status = argc > 4 ? bench::number_at(argv[4]) : 200;
  bench::CountedOrigin origin(static_cast<uint16_t>(bench::number_at(argv[1])), argv[2], delay,
                              status);
  std::puts("listening");
  std::fflush(stdout);
  origin.run();
}
