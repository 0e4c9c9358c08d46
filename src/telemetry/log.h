// SPDX-License-Identifier: Apache-2.0
// The operational log: what the proxy has to say about itself, one line each on standard error.
//   log::warn("endpoint is unhealthy", {{"cluster", name}, {"failures", count}});
// Any thread may log. Layers below telemetry (base, net, http, config) do not.
#pragma once
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <variant>

namespace tidegate::log {

enum class Level : uint8_t { Debug, Info, Warn, Error };
std::string_view to_string(Level level);
std::optional<Level> parse_level(std::string_view name);

enum class Format : uint8_t { Json, Text };

/// One key with its value; both are copied before the call returns.
struct Field {
  std::string_view key;
  std::variant<std::string_view, int64_t, uint64_t, double, bool> value;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  Field(std::string_view k, bool v) : key(k), value(v) {}
  template <std::signed_integral T>
  Field(std::string_view k, T v) : key(k), value(static_cast<int64_t>(v)) {}
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) Field(std::string_view k, T v)
      : key(k), value(static_cast<uint64_t>(v)) {}
  template <std::floating_point T>
  Field(std::string_view k, T v) : key(k), value(static_cast<double>(v)) {}
};
using Fields = std::initializer_list<Field>;

namespace detail {
inline std::atomic<Level> level{Level::Info};
}

inline bool enabled(Level level) {
  return level >= detail::level.load(std::memory_order_relaxed);
}
inline Level level() {
  return detail::level.load(std::memory_order_relaxed);
}
inline void set_level(Level level) {
  detail::level.store(level, std::memory_order_relaxed);
}
void set_format(Format format);

/// Writes the line whatever the level; `fields` come after timestamp, level and message.
void write(Level level, std::string_view message, const Field* fields, size_t count);
inline void write(Level level, std::string_view message, Fields fields = {}) {
  write(level, message, fields.begin(), fields.size());
}

inline void debug(std::string_view message, Fields fields = {}) {
  if (enabled(Level::Debug)) write(Level::Debug, message, fields);
}
inline void info(std::string_view message, Fields fields = {}) {
  if (enabled(Level::Info)) write(Level::Info, message, fields);
}
inline void warn(std::string_view message, Fields fields = {}) {
  if (enabled(Level::Warn)) write(Level::Warn, message, fields);
}
inline void error(std::string_view message, Fields fields = {}) {
  if (enabled(Level::Error)) write(Level::Error, message, fields);
}

/// For what can happen with every request: at most one line a second for each `key`, which says in
/// `suppressed` how many were left out since the last.
void log_limited(std::string_view key, Level level, std::string_view message, Fields fields = {});

/// From here on a background thread writes, and a standard error that nobody reads makes lines drop
/// rather than callers wait. Call both while no other thread logs: before the workers start and
/// after they have ended. `stop_background` writes what is queued, as far as standard error takes
/// it within `limit`; later lines do not wait for it either.
void start_background();
void stop_background(std::chrono::milliseconds limit = std::chrono::seconds(1));

/// Lines that standard error did not take: since nobody reads it, or since it failed. Any thread
/// between the two above.
uint64_t lost_lines();

/// Sends the lines, without the line feed, to `to` instead; nullptr: to standard error again. For
/// tests; same condition as `start_background`.
void redirect(std::function<void(std::string_view line)> to);

}  // namespace tidegate::log
