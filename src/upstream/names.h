// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/timers.h"
#include "net/event_loop.h"
#include "net/name_resolver.h"

namespace tidegate::upstream {

/// The addresses of the names that endpoints and outbound proxies are given by. Nothing here waits:
/// a name is asked for on first use and has no addresses until the answer has come; one that does
/// not resolve is asked for again. Control thread.
class Names {
 public:
  /// These have other addresses than before. In a turn of the loop, or from inside
  /// `settle_within`; once for all answers that have come together.
  using OnChange = std::function<void(const std::set<std::string>& names)>;

  Names(net::EventLoop& loop, OnChange on_change,
        net::NameResolver::LookUp look_up = net::NameResolver::system_look_up);
  Names(const Names&) = delete;
  Names& operator=(const Names&) = delete;

  /// What is known of `name` now; empty: nothing yet. A literal address is known.
  std::vector<IpAddress> addresses_of(const std::string& name);
  /// Forgets the names that are not `in_use`: they are not asked for any more.
  void keep_only(const std::set<std::string>& in_use);
  /// A reload: what is known stays in use and is asked for anew; names that are not `in_use` are
  /// forgotten.
  void renew(const std::set<std::string>& in_use);
  /// How many names are known or asked for.
  size_t size() const { return entries_.size(); }
  /// Each name has been answered for, with addresses or without.
  bool settled() const;
  /// Blocks until all is settled, `limit` at most: for a change that would otherwise take endpoints
  /// out of use for the moment that the answer takes.
  void settle_within(Duration limit);

 private:
  struct Entry {
    std::vector<IpAddress> addresses;
    bool asking = false;
    bool answered = false;
    unsigned failures = 0;
    TimePoint again = TimePoint::max();  // when to ask, while it has no addresses
  };
  void ask(const std::string& name, Entry& entry);
  void on_answers(net::NameResolver::Answers answers);
  /// True: the name has other addresses than before.
  bool take(const std::string& name, net::NameAnswer answer);
  void ask_again();
  void arm();

  net::EventLoop& loop_;
  const OnChange on_change_;
  net::NameResolver resolver_;
  std::map<std::string, Entry> entries_;
  Timer timer_;
};

}  // namespace tidegate::upstream
