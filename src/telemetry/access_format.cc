// SPDX-License-Identifier: Apache-2.0
#include "telemetry/access_format.h"

#include <algorithm>

namespace tidegate::telemetry {
namespace {

uint64_t microseconds(Duration duration) {
  return static_cast<uint64_t>(std::max<int64_t>(duration.count() / 1000, 0));
}

std::string_view level_of(const AccessRecord& record) {
  return record.status >= 500 ? "error" : "info";
}

/// Names arrive with all that stands around them, `,"name":"`, so that each costs one copy.
class JsonLine {
 public:
  explicit JsonLine(LineBuffer& to) : to_(to) {}

  template <size_t N>
  void text(const char (&opening)[N], std::string_view value, size_t longest = kMaxAccessText) {
    if (value.empty()) return;
    to_.put_literal(opening);
    to_.put_escaped(value.substr(0, longest));
    to_.put('"');
  }
  template <size_t N>
  void number(const char (&opening)[N], uint64_t value) {
    to_.put_literal(opening);
    to_.put_integer(value);
  }
  template <size_t N>
  void milliseconds(const char (&opening)[N], Duration value) {
    to_.put_literal(opening);
    to_.put_thousandths(microseconds(value));
  }
  void policies(std::span<const AccessPolicy> policies) {
    if (policies.empty()) return;
    std::string_view before = ",\"policies\":[";
    for (const AccessPolicy& policy : policies) {
      to_.put(before);
      text("{\"name\":\"", policy.name);
      number(",\"generation\":", policy.generation);
      to_.put('}');
      before = ",";
    }
    to_.put(']');
  }

 private:
  LineBuffer& to_;
};

void format_json(const AccessRecord& record, std::string_view timestamp, LineBuffer& to) {
  JsonLine line(to);
  to.put("{\"timestamp\":\"");
  to.put(timestamp);
  line.text("\",\"level\":\"", level_of(record));
  to.put(",\"message\":\"request\"");
  line.text(",\"request_id\":\"", record.request_id);
  line.text(",\"trace_id\":\"", record.trace_id);
  line.text(",\"client_ip\":\"", record.client_ip);
  line.text(",\"listener\":\"", record.listener);
  line.text(",\"protocol\":\"", record.protocol);
  line.text(",\"method\":\"", record.method);
  line.text(",\"host\":\"", record.host);
  line.text(",\"path\":\"", record.path, kMaxAccessPath);
  line.text(",\"query\":\"", record.query, kMaxAccessPath);
  line.text(",\"user_agent\":\"", record.user_agent);
  line.text(",\"route\":\"", record.route);
  line.policies(record.policies);
  line.text(",\"cluster\":\"", record.cluster);
  line.text(",\"endpoint\":\"", record.endpoint);
  line.number(",\"attempts\":", record.attempts);
  line.text(",\"hedge\":\"", record.hedge);
  line.number(",\"status\":", record.status);
  if (record.error != ErrorCode::None) {
    const ErrorInfo& error = describe(record.error);
    line.text(",\"error\":\"", error.token);
    line.text(",\"side\":\"", to_string(error.side));
  }
  line.milliseconds(",\"duration_ms\":", record.duration);
  if (record.upstream >= Duration::zero()) line.milliseconds(",\"upstream_ms\":", record.upstream);
  line.number(",\"bytes_in\":", record.bytes_in);
  line.number(",\"bytes_out\":", record.bytes_out);
  to.put("}\n");
}

void put_pair(LineBuffer& to, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  to.put(' ');
  to.put(name);
  to.put('=');
  to.put_word(value.substr(0, kMaxAccessText));
}

/// `timestamp level client "METHOD path" status ms bytes_in bytes_out key=value…`
void format_text(const AccessRecord& record, std::string_view timestamp, LineBuffer& to) {
  for (const std::string_view word : {timestamp, level_of(record)}) {
    to.put(word);
    to.put(' ');
  }
  to.put_word(record.client_ip);
  to.put(" \"");
  to.put_escaped(record.method.substr(0, kMaxAccessText));
  to.put(' ');
  to.put_escaped(record.path.substr(0, kMaxAccessPath));
  if (!record.query.empty()) to.put('?');
  to.put_escaped(record.query.substr(0, kMaxAccessPath));
  to.put("\" ");
  to.put_integer(record.status);
  to.put(' ');
  to.put_thousandths(microseconds(record.duration));
  to.put("ms ");
  to.put_integer(record.bytes_in);
  to.put(' ');
  to.put_integer(record.bytes_out);
  put_pair(to, "host", record.host);
  put_pair(to, "route", record.route);
  put_pair(to, "cluster", record.cluster);
  put_pair(to, "endpoint", record.endpoint);
  put_pair(to, "hedge", record.hedge);
  if (record.error != ErrorCode::None) put_pair(to, "error", describe(record.error).token);
  put_pair(to, "request_id", record.request_id);
  put_pair(to, "trace_id", record.trace_id);
  to.put('\n');
}

}  // namespace

void format_access(const AccessRecord& record, log::Format format, TimestampText& timestamps,
                   LineBuffer& to) {
  const std::string_view timestamp = timestamps.at(record.unix_ms);
  if (format == log::Format::Json) {
    format_json(record, timestamp, to);
  } else {
    format_text(record, timestamp, to);
  }
}

}  // namespace tidegate::telemetry
