// SPDX-License-Identifier: Apache-2.0
#include "telemetry/log.h"

#include <spdlog/async.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "telemetry/line_buffer.h"
#include "telemetry/log_sink.h"
#include "telemetry/wall_clock.h"

namespace tidegate::log {
namespace {

using telemetry::LineBuffer;
using telemetry::TimestampText;

constexpr std::array<std::string_view, 4> kLevelNames{"debug", "info", "warn", "error"};
constexpr size_t kQueuedLines = 1024;

std::atomic<Format> g_format{Format::Json};

/// Lines are formatted here, with fields; spdlog carries them.
std::shared_ptr<spdlog::logger> prepare(std::shared_ptr<spdlog::logger> logger) {
  logger->set_level(spdlog::level::trace);
  logger->set_pattern("%v");
  return logger;
}

std::shared_ptr<spdlog::logger> direct_logger(spdlog::sink_ptr sink) {
  return prepare(std::make_shared<spdlog::logger>("tidegate", std::move(sink)));
}

/// Never destroyed, since threads may log until the very end.
struct Output {
  std::shared_ptr<LogSink> sink = std::make_shared<LogSink>(telemetry::LogFile::of(STDERR_FILENO));
  std::shared_ptr<spdlog::details::thread_pool> background;
  std::shared_ptr<spdlog::logger> logger = direct_logger(sink);
};
Output& output() {
  static auto* const the_output = new Output;
  return *the_output;
}

class CallbackSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit CallbackSink(std::function<void(std::string_view)> to) : to_(std::move(to)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    to_({message.payload.data(), message.payload.size()});
  }
  void flush_() override {}

  std::function<void(std::string_view)> to_;
};

void put_value(LineBuffer& line, const Field& field, Format format) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    if (format == Format::Text) return line.put_word(*text);
    line.put('"');
    line.put_escaped(*text);
    line.put('"');
  } else if (const auto* flag = std::get_if<bool>(&field.value)) {
    line.put(*flag ? "true" : "false");
  } else if (const auto* real = std::get_if<double>(&field.value)) {
    line.put_number(*real);
  } else if (const auto* whole = std::get_if<int64_t>(&field.value)) {
    line.put_integer(*whole);
  } else {
    line.put_integer(std::get<uint64_t>(field.value));
  }
}

void put_json(LineBuffer& line, std::string_view timestamp, Level level, std::string_view message) {
  line.put("{\"timestamp\":\"");
  line.put(timestamp);
  line.put("\",\"level\":\"");
  line.put(to_string(level));
  line.put("\",\"message\":\"");
  line.put_escaped(message);
  line.put('"');
}

void put_json_field(LineBuffer& line, const Field& field) {
  line.put(",\"");
  line.put_escaped(field.key);
  line.put("\":");
  put_value(line, field, Format::Json);
}

void put_text(LineBuffer& line, std::string_view timestamp, Level level, std::string_view message) {
  line.put(timestamp);
  line.put(' ');
  line.put(to_string(level));
  line.put(' ');
  line.put_escaped(message);
}

void put_text_field(LineBuffer& line, const Field& field) {
  line.put(' ');
  line.put_word(field.key);
  line.put('=');
  put_value(line, field, Format::Text);
}

/// Lines that one key wrote and left out.
struct LimitSlot {
  std::atomic<size_t> key{0};
  std::atomic<int64_t> next_ns{0};
  std::atomic<uint64_t> suppressed{0};
};

// The slot of a key: its own, or one whose line was written long enough ago. Where all that it may
// have are taken it shares one, so that the number of lines has a bound.
LimitSlot& limit_slot(size_t hash, int64_t now) {
  static std::array<LimitSlot, 1024> slots;
  constexpr size_t kPlaces = 8;
  LimitSlot* free = nullptr;
  for (size_t i = 0; i < kPlaces; ++i) {
    LimitSlot& slot = slots[(hash + i) % slots.size()];
    if (slot.key.load(std::memory_order_relaxed) == hash) return slot;
    if (free == nullptr && slot.next_ns.load(std::memory_order_relaxed) <= now) free = &slot;
  }
  return free != nullptr ? *free : slots[hash % slots.size()];
}

}  // namespace

std::string_view to_string(Level level) {
  return kLevelNames[static_cast<size_t>(level)];
}

std::optional<Level> parse_level(std::string_view name) {
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames[i] == name) return static_cast<Level>(i);
  }
  return std::nullopt;
}

void set_format(Format format) {
  g_format.store(format, std::memory_order_relaxed);
}

void write(Level level, std::string_view message, const Field* fields, size_t count) {
  thread_local LineBuffer line;
  thread_local TimestampText timestamps;
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const std::string_view timestamp = timestamps.at(now.count());
  line.clear();
  if (g_format.load(std::memory_order_relaxed) == Format::Json) {
    put_json(line, timestamp, level, message);
    for (size_t i = 0; i < count; ++i) put_json_field(line, fields[i]);
    line.put('}');
  } else {
    put_text(line, timestamp, level, message);
    for (size_t i = 0; i < count; ++i) put_text_field(line, fields[i]);
  }
  const std::string_view text = line.view();
  output().logger->log(spdlog::level::info, spdlog::string_view_t(text.data(), text.size()));
}

void log_limited(std::string_view key, Level level, std::string_view message, Fields fields) {
  if (!enabled(level)) return;
  const size_t hash = std::hash<std::string_view>{}(key);
  const int64_t now = std::chrono::steady_clock::now().time_since_epoch().count();
  LimitSlot& slot = limit_slot(hash, now);
  int64_t next = slot.next_ns.load(std::memory_order_relaxed);
  constexpr int64_t kInterval = 1'000'000'000;
  if (now < next || !slot.next_ns.compare_exchange_strong(next, now + kInterval)) {
    slot.suppressed.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const bool same = slot.key.exchange(hash, std::memory_order_relaxed) == hash;
  const uint64_t suppressed = slot.suppressed.exchange(0, std::memory_order_relaxed);
  if (suppressed == 0 || !same) return write(level, message, fields);
  std::vector<Field> all(fields);
  all.emplace_back("suppressed", suppressed);
  write(level, message, all.data(), all.size());
}

void start_background() {
  Output& out = output();
  if (out.background != nullptr) return;
  out.background = std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1);
  out.logger = prepare(std::make_shared<spdlog::async_logger>(
      "tidegate", out.logger->sinks().front(), out.background,
      spdlog::async_overflow_policy::overrun_oldest));
}

void stop_background(std::chrono::milliseconds limit) {
  Output& out = output();
  if (out.background == nullptr) return;
  out.sink->flush_until(LogSink::Clock::now() + limit);
  const auto sink = out.logger->sinks().front();
  out.logger.reset();
  out.background.reset();  // its destructor waits until all that is queued is written or lost
  out.logger = direct_logger(sink);
}

uint64_t lost_lines() {
  const Output& out = output();
  const uint64_t never_written = out.background == nullptr ? 0 : out.background->overrun_counter();
  return out.sink->lost() + never_written;
}

void redirect(std::function<void(std::string_view line)> to) {
  spdlog::sink_ptr sink = output().sink;
  if (to != nullptr) sink = std::make_shared<CallbackSink>(std::move(to));
  sink->set_pattern("%v");
  output().logger->sinks() = {std::move(sink)};
}

}  // namespace tidegate::log
