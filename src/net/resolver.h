// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/timers.h"
#include "net/dns_answer.h"

struct ares_channeldata;

namespace tidegate::net {

class EventLoop;

/// How a lookup ended.
enum class LookupState : uint8_t {
  Found,   // there are records
  None,    // a server says that there are none
  Failed,  // nobody said anything that counts
};

struct Lookup {
  LookupState state = LookupState::Failed;
  DnsAnswer answer;
  std::string detail;  // why not, unless Found
};

/// Asks DNS servers, over c-ares, on the loop: no thread, and nothing blocks. UDP, and TCP where an
/// answer is cut off. Used in the loop's thread. Names are looked up in DNS only, not in files.
class Resolver {
 public:
  struct Options {
    std::vector<std::string> servers;  // "address:port"; empty: those of the system
    Duration timeout{};                // for one answer, growing with each round
    unsigned attempts = 1;             // rounds over the servers
  };
  using OnAnswer = std::function<void(Lookup)>;

  static Fallible<std::unique_ptr<Resolver>> make(EventLoop& loop, const Options& options);
  /// Lookups under way end without a word.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// `on_answer` is called once, perhaps from inside this call. A name without a dot at its end is
  /// also tried below the system's search domains.
  void look_up(const std::string& name, DnsRecordType type, OnAnswer on_answer);

 private:
  struct Socket;
  struct Query;
  explicit Resolver(EventLoop& loop);
  static void on_answered(void* query, int status, int timeouts, unsigned char* bytes, int size);
  void on_socket_state(int fd, bool readable, bool writable);
  void process(int read_fd, int write_fd);
  void schedule();

  EventLoop& loop_;
  ares_channeldata* channel_ = nullptr;
  std::map<int, std::unique_ptr<Socket>> sockets_;
  Timer timer_;
  bool ending_ = false;
};

}  // namespace tidegate::net
