// SPDX-License-Identifier: Apache-2.0
// Names of endpoints, with a lookup that answers what the test wants.
#include "upstream/names.h"

#include <doctest/doctest.h>

#include <pthread.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "upstream/resolution.h"

using namespace tidegate;
using namespace tidegate::upstream;
using namespace std::chrono_literals;

namespace {

/// What name servers say at present. Its lookups run on other threads, which may outlive it.
class NameServers {
 public:
  void say(const std::string& name, std::vector<const char*> addresses) {
    const std::lock_guard lock(state_->mutex);
    auto& known = state_->known[name];
    known.clear();
    for (const char* one : addresses) known.push_back(*IpAddress::parse(one));
  }
  net::NameResolver::LookUp look_up() {
    return [state = state_](const std::string& name) -> net::NameAnswer {
      const std::lock_guard lock(state->mutex);
      ++state->asked;
      const auto at = state->known.find(name);
      if (at != state->known.end() && !at->second.empty()) return at->second;
      return tl::unexpected("cannot resolve " + name + ": no address");
    };
  }
  int asked() {
    const std::lock_guard lock(state_->mutex);
    return state_->asked;
  }

 private:
  struct State {
    std::mutex mutex;
    std::map<std::string, std::vector<IpAddress>> known;
    int asked = 0;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

struct Rig {
  NameServers servers;
  net::EventLoop loop;
  std::vector<std::string> changed;
  int batches = 0;
  Names names{loop,
              [this](const std::set<std::string>& those) {
                ++batches;
                changed.insert(changed.end(), those.begin(), those.end());
              },
              servers.look_up()};

  void turn_until(const std::function<bool()>& done) {
    for (int turns = 0; turns < 1000 && !done(); ++turns) loop.turn();
    REQUIRE(done());
  }
};

/// Meanwhile no thread can be made: the stack that each is to have fits no address space.
class NoThreads {
 public:
  NoThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t huge;
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, size_t{1} << 50);
    REQUIRE(pthread_setattr_default_np(&huge) == 0);
    pthread_attr_destroy(&huge);
  }
  ~NoThreads() {
    end();
    pthread_attr_destroy(&before_);
  }
  void end() { pthread_setattr_default_np(&before_); }

 private:
  pthread_attr_t before_;
};

config::Endpoint endpoint(const std::string& host) {
  config::Endpoint made;
  made.scheme = "http";
  made.address = {host, 80, false};
  made.url = "http://" + host + ":80";
  return made;
}

}  // namespace

TEST_CASE("C6: a name has no addresses until its answer has come, a literal has its own") {
  Rig rig;
  rig.servers.say("a.test", {"10.0.0.1", "fd00::1"});
  CHECK(rig.names.addresses_of("10.9.9.9").size() == 1);
  CHECK(rig.names.settled());
  CHECK(rig.names.addresses_of("a.test").empty());
  CHECK_FALSE(rig.names.settled());
  rig.turn_until([&] { return rig.names.settled(); });
  CHECK(rig.names.addresses_of("a.test").size() == 2);
  CHECK(rig.changed == std::vector<std::string>{"a.test"});
  CHECK(rig.servers.asked() == 1);
}

TEST_CASE("C6: a name that does not resolve is asked for again until it does") {
  Rig rig;
  CHECK(rig.names.addresses_of("late.test").empty());
  rig.turn_until([&] { return rig.names.settled(); });
  CHECK(rig.changed.empty());
  rig.servers.say("late.test", {"10.0.0.1"});
  rig.turn_until([&] { return !rig.changed.empty(); });  // after a pause of a second
  CHECK(rig.names.addresses_of("late.test").size() == 1);
}

TEST_CASE("C6: a reload asks anew, keeps what is known meanwhile, and forgets what is not in use") {
  Rig rig;
  rig.servers.say("a.test", {"10.0.0.1"});
  rig.servers.say("b.test", {"10.0.0.2"});
  (void)rig.names.addresses_of("a.test");
  (void)rig.names.addresses_of("b.test");
  rig.turn_until([&] { return rig.names.settled(); });
  rig.changed.clear();
  rig.servers.say("a.test", {"10.0.0.7"});
  rig.names.renew({"a.test"});
  CHECK(rig.names.addresses_of("a.test").front().to_string() == "10.0.0.1");
  rig.turn_until([&] { return !rig.changed.empty(); });
  CHECK(rig.names.addresses_of("a.test").front().to_string() == "10.0.0.7");
  CHECK(rig.servers.asked() == 3);
  // A server that fails takes nothing away.
  rig.servers.say("a.test", {});
  rig.names.renew({"a.test"});
  rig.turn_until([&] { return rig.servers.asked() == 4; });
  CHECK(rig.names.addresses_of("a.test").front().to_string() == "10.0.0.7");
}

TEST_CASE("O5: what waits for a name waits no longer than it wants to") {
  const auto silent = std::make_shared<std::mutex>();
  std::unique_lock nobody_answers(*silent);
  net::EventLoop loop;
  Names names(
      loop, [](const std::set<std::string>&) {},
      [silent](const std::string&) -> net::NameAnswer {
        const std::lock_guard lock(*silent);
        return tl::unexpected(std::string("late"));
      });
  CHECK(names.addresses_of("silent.test").empty());
  names.settle_within(1ms);
  CHECK_FALSE(names.settled());
  nobody_answers.unlock();
  names.settle_within(10s);
  CHECK(names.settled());
}

TEST_CASE("C6: an endpoint without addresses is down, and moves when its name resolves") {
  Rig rig;
  config::Cluster cluster;
  const auto before = make_endpoints(
      resolve_names(cluster, {endpoint("a.test"), endpoint("10.0.0.9")}, rig.names), nullptr);
  CHECK_FALSE(before[0]->healthy);
  CHECK(before[1]->healthy);
  CHECK(names_of({before}) == std::set<std::string>{"a.test"});
  rig.turn_until([&] { return rig.names.settled(); });
  rig.servers.say("a.test", {"10.0.0.1"});
  rig.names.renew({"a.test"});
  rig.turn_until([&] { return !rig.changed.empty(); });
  CHECK(moved(before, {"b.test"}, rig.names).empty());
  const auto after = make_endpoints(moved(before, {"a.test"}, rig.names), &before);
  CHECK(after[0]->healthy);
  CHECK(after[0]->resolved.front().to_string() == "10.0.0.1:80");
  CHECK(after[0]->authority == "a.test");
  CHECK(after[1].endpoint == before[1].endpoint);
}

TEST_CASE("C6: answers that have come together are told of once") {
  Rig rig;
  for (int i = 0; i < 40; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    rig.servers.say(name, {"10.0.0.1"});
    (void)rig.names.addresses_of(name);
  }
  for (int spins = 0; spins < 100'000 && rig.servers.asked() < 40; ++spins)
    std::this_thread::yield();
  REQUIRE(rig.servers.asked() == 40);
  rig.turn_until([&] { return rig.names.settled(); });
  CHECK(rig.changed.size() == 40);
  CHECK(rig.batches < 40);
}

TEST_CASE("C6: names that are of no endpoint any more are not asked for again") {
  Rig rig;
  rig.servers.say("kept.test", {"10.0.0.1"});
  (void)rig.names.addresses_of("kept.test");
  (void)rig.names.addresses_of("gone.test");
  rig.turn_until([&] { return rig.names.settled(); });
  rig.names.keep_only({"kept.test"});
  CHECK(rig.names.size() == 1);
  CHECK(rig.names.addresses_of("kept.test").size() == 1);
  // The other would be asked for in a second: one that comes later is, it is not.
  rig.changed.clear();
  (void)rig.names.addresses_of("late.test");
  rig.turn_until([&] { return rig.names.settled(); });
  rig.servers.say("gone.test", {"10.0.0.2"});
  rig.servers.say("late.test", {"10.0.0.3"});
  rig.turn_until([&] { return !rig.changed.empty(); });
  CHECK(rig.changed == std::vector<std::string>{"late.test"});
}

TEST_CASE("C6: names that still wait for a lookup when they go are not looked up") {
  const auto silent = std::make_shared<std::mutex>();
  const auto asked = std::make_shared<std::atomic<int>>(0);
  std::unique_lock nobody_answers(*silent);
  net::EventLoop loop;
  Names names(
      loop, [](const std::set<std::string>&) {},
      [silent, asked](const std::string&) -> net::NameAnswer {
        ++*asked;
        const std::lock_guard lock(*silent);
        return tl::unexpected(std::string("late"));
      });
  for (int i = 0; i < 500; ++i) (void)names.addresses_of("n" + std::to_string(i) + ".test");
  names.keep_only({});
  CHECK(names.size() == 0);
  (void)names.addresses_of("last.test");
  nobody_answers.unlock();
  names.settle_within(10s);
  CHECK(names.settled());
  CHECK(*asked < 50);  // as many as there are threads, and the last
}

TEST_CASE("C6: where the system has no thread, a name has failed and is asked for again") {
  NoThreads none;
  Rig rig;
  rig.servers.say("a.test", {"10.0.0.1"});
  CHECK(rig.names.addresses_of("a.test").empty());
  rig.turn_until([&] { return rig.names.settled(); });
  CHECK(rig.servers.asked() == 0);
  CHECK_FALSE(net::NameResolver::look_up_within("localhost", 10s));
  none.end();
  rig.turn_until([&] { return !rig.changed.empty(); });  // after a pause of a second
  CHECK(rig.names.addresses_of("a.test").size() == 1);
}
