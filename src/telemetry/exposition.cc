// SPDX-License-Identifier: Apache-2.0
#include "telemetry/exposition.h"

#include <fmt/format.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <charconv>
#include <cmath>
#include <iterator>

namespace tidegate::telemetry {
namespace {

constexpr std::string_view kPrometheusType = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view kOpenMetricsType =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

std::string_view trim(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t");
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(" \t") - start + 1);
}

std::string_view next_part(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view part = trim(rest.substr(0, at));
  rest = at == std::string_view::npos ? std::string_view{} : rest.substr(at + 1);
  return part;
}

/// RFC 9110 12.4.2; what does not parse weighs nothing.
double weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string_view parameter = next_part(parameters, ';');
    if (!parameter.starts_with("q=")) continue;
    double weight = 0;
    const auto text = parameter.substr(2);
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), weight);
    return parsed.ec == std::errc{} ? weight : 0;
  }
  return 1;
}

bool prefers_open_metrics(std::string_view accept) {
  double open_metrics = 0;
  double plain = 0;
  while (!accept.empty()) {
    std::string_view range = next_part(accept, ',');
    const std::string_view type = next_part(range, ';');
    double* weight = type == "application/openmetrics-text" ? &open_metrics
                     : type == "text/plain"                 ? &plain
                                                            : nullptr;
    if (weight != nullptr) *weight = std::max(*weight, weight_of(range));
  }
  return open_metrics > 0 && open_metrics >= plain;
}

/// Writes OpenMetrics 1.0 text, which prometheus-cpp lacks. It differs from the older format in the
/// names of counter families, escaped help texts, floats and the end mark.
class OpenMetricsWriter {
 public:
  std::string write(const std::vector<prometheus::MetricFamily>& families) {
    for (const auto& family : families) write_family(family);
    out_ += "# EOF\n";
    return std::move(out_);
  }

 private:
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  void write_family(const prometheus::MetricFamily& family) {
    constexpr std::string_view kTotal = "_total";
    std::string_view name = family.name;
    const bool counter = family.type == prometheus::MetricType::Counter;
    if (counter && name.ends_with(kTotal)) name.remove_suffix(kTotal.size());
    const std::string_view type =
        counter ? "counter"
                : (family.type == prometheus::MetricType::Histogram ? "histogram" : "gauge");
    fmt::format_to(std::back_inserter(out_), "# TYPE {} {}\n# HELP {} ", name, type, name);
    escape(family.help);
    out_ += '\n';
    for (const auto& metric : family.metric) {
      if (family.type == prometheus::MetricType::Histogram) {
        write_histogram(name, metric);
      } else {
        sample(name, counter ? kTotal : "", metric.label,
               counter ? metric.counter.value : metric.gauge.value);
      }
    }
  }

  void write_histogram(std::string_view name, const prometheus::ClientMetric& metric) {
    Labels labels = metric.label;
    labels.push_back({"le", {}});
    for (const auto& bucket : metric.histogram.bucket) {
      labels.back().value = number(bucket.upper_bound, true);
      sample(name, "_bucket", labels, static_cast<double>(bucket.cumulative_count));
    }
    sample(name, "_count", metric.label, static_cast<double>(metric.histogram.sample_count));
    sample(name, "_sum", metric.label, metric.histogram.sample_sum);
  }

  void sample(std::string_view name, std::string_view suffix, const Labels& labels, double value) {
    out_ += name;
    out_ += suffix;
    char before = '{';
    for (const auto& label : labels) {
      out_ += before;
      out_ += label.name;
      out_ += "=\"";
      escape(label.value);
      out_ += '"';
      before = ',';
    }
    if (!labels.empty()) out_ += '}';
    out_ += ' ';
    out_ += number(value, false);
    out_ += '\n';
  }

  void escape(std::string_view text) {
    for (const char c : text) {
      if (c == '\\' || c == '"') out_ += '\\';
      if (c == '\n') {
        out_ += "\\n";
      } else {
        out_ += c;
      }
    }
  }

  /// `canonical`: a bound, which must read as a float ("1.0", not "1").
  static std::string number(double value, bool canonical) {
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    std::string text = fmt::format("{}", value);
    const bool whole = text.find_first_of(".e") == std::string::npos;
    if (canonical && whole) return text + ".0";
    if (!canonical && text.ends_with(".0")) text.resize(text.size() - 2);
    return text;
  }

  std::string out_;
};

}  // namespace

Exposition expose(const Registry& registry, std::string_view accept) {
  const auto families = registry.collect();
  if (prefers_open_metrics(accept)) return {kOpenMetricsType, OpenMetricsWriter().write(families)};
  return {kPrometheusType, prometheus::TextSerializer().Serialize(families)};
}

}  // namespace tidegate::telemetry
