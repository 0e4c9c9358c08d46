// SPDX-License-Identifier: Apache-2.0
#include "http/http1/head_collector.h"

#include <string>

namespace tidegate::http::http1 {

struct HeadCollector::Waiting {
  HeadScan scan;
  std::string bytes;
};

HeadCollector::HeadCollector() = default;
HeadCollector::~HeadCollector() = default;

void HeadCollector::clear() {
  waiting_.reset();
}

HeadCollector::Collected HeadCollector::collect(std::string_view bytes, HeadKind kind,
                                                const Limits& limits) {
  if (waiting_ != nullptr) return collect_more(bytes, limits);
  HeadScan scan(kind);
  const HeadScan::Progress progress = scan.advance(bytes, limits);
  if (progress.status == HeadStatus::More) {
    waiting_ = std::make_unique<Waiting>(Waiting{scan, std::string(bytes)});
  }
  return {progress.status, progress.taken, scan.lines(), bytes.substr(0, progress.taken)};
}

HeadCollector::Collected HeadCollector::collect_more(std::string_view bytes, const Limits& limits) {
  const HeadScan::Progress progress = waiting_->scan.advance(bytes, limits);
  waiting_->bytes.append(bytes.substr(0, progress.taken));
  return {progress.status, progress.taken, waiting_->scan.lines(), waiting_->bytes};
}

}  // namespace tidegate::http::http1
