// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/ip.h"
#include "base/result.h"

namespace tidegate::net {

class EventLoop;

/// All addresses of a name, without repetition; at least one.
using NameAnswer = Fallible<std::vector<IpAddress>>;

/// Looks names up as every program of the system does: hosts file, search domains, name service
/// switch. The one function for that, getaddrinfo, blocks for as long as name servers are silent,
/// which may be 20 s a name. So it runs on threads of its own, a few at a time, and the loop goes
/// on. Belongs to the loop's thread.
class NameResolver {
 public:
  /// Each name with what the system says of it; at least one.
  using Answers = std::vector<std::pair<std::string, NameAnswer>>;
  using OnAnswers = std::function<void(Answers answers)>;
  /// What `look_up` asks; for tests another than the system. Called on any thread.
  using LookUp = std::function<NameAnswer(const std::string& name)>;

  /// `on_answers` is called in a turn of the loop or from inside `wait_until`, with all answers
  /// that have come since the last call.
  NameResolver(EventLoop& loop, OnAnswers on_answers, LookUp look_up = system_look_up);
  /// Does not wait for lookups under way; nobody hears of them.
  ~NameResolver();
  NameResolver(const NameResolver&) = delete;
  NameResolver& operator=(const NameResolver&) = delete;

  /// Asks for the addresses of `name`. If the system has no thread for the lookup, that is the
  /// answer.
  void ask(const std::string& name);
  /// Names that wait for a thread and are not among these are not looked up; no answer comes.
  void keep_only(const std::set<std::string>& names);
  /// Blocks until answers have come, or `until`, and passes on what has come. False: nothing.
  bool wait_until(TimePoint until);

  /// Blocks until the system has answered, however long that takes.
  static NameAnswer system_look_up(const std::string& name);
  /// Blocks for `limit` at most; then the lookup goes on unheard, and that is an error. So is the
  /// lack of a thread.
  static NameAnswer look_up_within(const std::string& name, Duration limit);

 private:
  struct Shared;
  static void work(const std::shared_ptr<Shared>& shared);
  static void pass_on(Shared& shared);

  std::shared_ptr<Shared> shared_;  // with the threads, which may outlive this object
};

}  // namespace tidegate::net
