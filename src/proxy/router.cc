// SPDX-License-Identifier: Apache-2.0
#include "proxy/router.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "http/host.h"
#include "http/path.h"

namespace tidegate::proxy {
namespace {

using config::Route;
using http::HeaderId;
using http::Method;

constexpr uint64_t kSeed = 0x2545f4914f6cdd1du;

uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

template <class Word>
Word load(const char* from) {
  Word word;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

/// Hashes go on: the hash of a path grows by one segment at a time, so that one pass over a path
/// gives those of all its prefixes. The keys are the operator's, so nobody can make them collide.
uint64_t hash_on(uint64_t hash, std::string_view text) {
  const char* const data = text.data();
  const size_t size = text.size();
  uint64_t tail;
  if (size >= 8) {
    for (size_t i = 0; i + 8 < size; i += 8) hash = mix(hash, load<uint64_t>(data + i));
    tail = load<uint64_t>(data + size - 8);
  } else if (size >= 4) {
    tail = uint64_t{load<uint32_t>(data)} << 32 | load<uint32_t>(data + size - 4);
  } else {
    tail = 0;
    for (char c : text) tail = tail << 8 | static_cast<uint8_t>(c);
  }
  return mix(mix(hash, tail), size);
}

/// Calls `use(hash, end)` for the root and for each further segment of `path`: [0, end) is a prefix
/// on a segment border, without the slash after it. REQUIRES: path starts with '/'. Gives the hash
/// of the whole.
template <class Use>
uint64_t walk_segments(std::string_view path, Use&& use) {
  uint64_t hash = kSeed;
  size_t start = 1;
  use(hash, size_t{0});
  while (true) {
    const size_t end = std::min(path.find('/', start), path.size());
    hash = hash_on(hash, path.substr(start, end - start));
    use(hash, end);
    if (end == path.size()) return hash;
    start = end + 1;
  }
}

/// Numbers texts; open addressing, never more than half full.
class TextTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  /// The number of `key`; a new one gets the next.
  uint32_t insert(uint64_t hash, std::string_view key) {
    if ((size_ + 1) * 2 > slots_.size()) grow();
    Slot& slot = slots_[position(hash, key)];
    if (slot.number == kNone) slot = {hash, key, size_++};
    return slot.number;
  }
  uint32_t find(uint64_t hash, std::string_view key) const {
    return size_ == 0 ? kNone : slots_[position(hash, key)].number;
  }
  bool empty() const { return size_ == 0; }

 private:
  struct Slot {
    uint64_t hash = 0;
    std::string_view key;
    uint32_t number = kNone;
  };

  size_t position(uint64_t hash, std::string_view key) const {
    const size_t mask = slots_.size() - 1;
    size_t at = (hash ^ hash >> 32) & mask;
    while (slots_[at].number != kNone && (slots_[at].hash != hash || slots_[at].key != key)) {
      at = (at + 1) & mask;
    }
    return at;
  }
  void grow() {
    std::vector<Slot> old = std::exchange(slots_, {});
    slots_.resize(std::max<size_t>(8, old.size() * 2));
    for (const Slot& slot : old) {
      if (slot.number != kNone) slots_[position(slot.hash, slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_;
  uint32_t size_ = 0;
};

/// A route with what must fit besides host and path, prepared for comparing.
struct Candidate {
  struct Field {
    HeaderId id;
    std::string_view name;
    std::string_view value;
  };

  explicit Candidate(const Route& of) : route(&of) {
    for (const std::string& name : of.match.methods) {
      const Method method = http::method_of(name);
      if (method == Method::Other) {
        other_methods.push_back(name);
      } else {
        methods |= 1u << static_cast<unsigned>(method);
      }
    }
    for (const auto& [name, value] : of.match.headers) {
      fields.push_back({http::header_id(name), name, value});
    }
  }

  bool fits(const http::RequestHead& head, std::string_view listener) const {
    const config::Match& match = route->match;
    if (!match.listener.empty() && match.listener != listener) return false;
    if (!match.methods.empty() && !fits_method(head)) return false;
    return std::all_of(fields.begin(), fields.end(),
                       [&](const Field& field) { return has(head.headers, field); });
  }
  bool fits_method(const http::RequestHead& head) const {
    if (head.method != Method::Other) return methods >> static_cast<unsigned>(head.method) & 1;
    return std::find(other_methods.begin(), other_methods.end(), head.method_name) !=
           other_methods.end();
  }
  static bool has(const http::Headers& headers, const Field& field) {
    return std::any_of(headers.begin(), headers.end(), [&](const http::HeaderField& f) {
      return f.id() == field.id && (field.id != HeaderId::Other || f.name() == field.name) &&
             f.value() == field.value;
    });
  }

  const Route* route;
  uint32_t methods = 0;
  std::vector<std::string_view> other_methods;
  std::vector<Field> fields;
};

using Candidates = std::vector<const Candidate*>;  // in the order of the file

/// The routes of one host, one wildcard, or any host.
class HostGroup {
 public:
  /// `path` and `prefix` stay where they are; an empty prefix fits every path.
  void add_exact(std::string_view path, const Candidate& candidate) {
    add(exact_, exact_candidates_, {exact_hash(path), path}, candidate);
  }
  void add_prefix(std::string_view prefix, const Candidate& candidate) {
    if (prefix.empty()) {
      any_path_.push_back(&candidate);
      return;
    }
    const uint64_t hash = walk_segments(prefix, [](uint64_t, size_t) {});
    add(prefixes_, prefix_candidates_, {hash, prefix}, candidate);
    longest_prefix_ = std::max(longest_prefix_, prefix.size());
  }

  const Route* match(const http::RequestHead& head, std::string_view listener) const {
    const auto first_fit = [&](const Candidates& candidates) -> const Route* {
      for (const Candidate* candidate : candidates) {
        if (candidate->fits(head, listener)) return candidate->route;
      }
      return nullptr;
    };
    if (!exact_.empty()) {
      const uint32_t number = exact_.find(exact_hash(head.path), head.path);
      const Route* route =
          number == TextTable::kNone ? nullptr : first_fit(exact_candidates_[number]);
      if (route != nullptr) return route;
    }
    const Route* best = nullptr;
    if (!prefixes_.empty() && head.path.starts_with('/')) {
      // From short to long, since the hashes come in that order; the last that fits is the longest.
      // What lies beyond the longest prefix can not matter: cut it on the next border.
      const size_t beyond = head.path.find('/', std::max<size_t>(longest_prefix_, 1));
      walk_segments(head.path.substr(0, beyond), [&](uint64_t hash, size_t end) {
        const uint32_t number = prefixes_.find(hash, head.path.substr(0, end));
        if (number == TextTable::kNone) return;
        const Route* route = first_fit(prefix_candidates_[number]);
        if (route != nullptr) best = route;
      });
    }
    return best != nullptr ? best : first_fit(any_path_);
  }

 private:
  struct Key {
    uint64_t hash;
    std::string_view text;
  };
  static uint64_t exact_hash(std::string_view path) { return hash_on(kSeed, path); }
  static void add(TextTable& table, std::vector<Candidates>& lists, Key key,
                  const Candidate& candidate) {
    const uint32_t number = table.insert(key.hash, key.text);
    if (number == lists.size()) lists.emplace_back();
    lists[number].push_back(&candidate);
  }

  TextTable exact_;
  TextTable prefixes_;
  std::vector<Candidates> exact_candidates_;
  std::vector<Candidates> prefix_candidates_;
  Candidates any_path_;
  size_t longest_prefix_ = 0;
};

uint64_t hash_host(std::string_view host) {
  return hash_on(kSeed, host);
}

}  // namespace

struct Router::Tables {
  explicit Tables(const config::Snapshot& snapshot) {
    for (const Route& route : snapshot.routes) add(route);
  }

  void add(const Route& route) {
    const Candidate& candidate = candidates.emplace_back(route);
    if (route.match.hosts.empty()) add(any_host, candidate);
    for (const std::string& host : route.match.hosts) add(group_for(host), candidate);
  }
  void add(HostGroup& group, const Candidate& candidate) {
    const config::Match& match = candidate.route->match;
    if (!match.path.empty()) group.add_exact(canonical(match.path), candidate);
    if (match.path.empty() || !match.path_prefix.empty()) {
      std::string_view prefix = canonical(match.path_prefix);
      if (prefix.ends_with('/')) prefix.remove_suffix(1);
      group.add_prefix(prefix, candidate);
    }
  }
  HostGroup& group_for(std::string_view host) {
    if (host == "*") return any_host;
    const bool wildcard = host.starts_with("*.");
    if (wildcard) host.remove_prefix(2);
    if (const auto canonical_host = http::split_authority(host, arena)) host = canonical_host->host;
    if (wildcard) longest_wildcard = std::max(longest_wildcard, host.size());
    const uint32_t number = (wildcard ? wildcards : hosts).insert(hash_host(host), host);
    auto& groups = wildcard ? wildcard_groups : host_groups;
    if (number == groups.size()) groups.emplace_back();
    return groups[number];
  }
  /// The configured text as requests are compared; kept here if it is not so already.
  std::string_view canonical(const std::string& path) {
    if (path.empty()) return {};
    const auto normal = http::normalise_path(path, arena);
    return normal ? normal->text : std::string_view(path);
  }

  const Route* match_wildcards(const http::RequestHead& head, std::string_view host,
                               std::string_view listener) const {
    for (size_t dot = host.find('.'); dot != std::string_view::npos;
         dot = host.find('.', dot + 1)) {
      const std::string_view suffix = host.substr(dot + 1);
      if (suffix.size() > longest_wildcard || dot == 0) continue;
      const uint32_t number = wildcards.find(hash_host(suffix), suffix);
      if (number == TextTable::kNone) continue;
      const Route* route = wildcard_groups[number].match(head, listener);
      if (route != nullptr) return route;
    }
    return nullptr;
  }

  ArenaBlocks blocks;
  Arena arena{blocks};
  std::deque<Candidate> candidates;
  TextTable hosts;
  TextTable wildcards;  // without "*."
  std::deque<HostGroup> host_groups;
  std::deque<HostGroup> wildcard_groups;
  HostGroup any_host;
  size_t longest_wildcard = 0;
};

Router::Router(const config::Snapshot& snapshot)
    : tables_(std::make_unique<const Tables>(snapshot)) {}

Router::~Router() = default;

const config::Route* Router::match(const http::RequestHead& head, std::string_view host,
                                   std::string_view listener) const {
  const Tables& tables = *tables_;
  if (!tables.hosts.empty()) {
    const uint32_t number = tables.hosts.find(hash_host(host), host);
    if (number != TextTable::kNone) {
      const Route* route = tables.host_groups[number].match(head, listener);
      if (route != nullptr) return route;
    }
  }
  if (!tables.wildcards.empty()) {
    const Route* route = tables.match_wildcards(head, host, listener);
    if (route != nullptr) return route;
  }
  return tables.any_host.match(head, listener);
}

}  // namespace tidegate::proxy
