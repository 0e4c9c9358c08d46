// SPDX-License-Identifier: Apache-2.0
#include "telemetry/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "telemetry/log.h"

namespace tidegate::telemetry {
namespace {

double open_descriptors() {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  int entries = 0;
  while (readdir(folder) != nullptr) ++entries;
  closedir(folder);
  return entries - 3;  // ".", ".." and the folder itself
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

uint64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  unsigned long size = 0;
  unsigned long resident = 0;
  const bool read = std::fscanf(file, "%lu %lu", &size, &resident) == 2;
  std::fclose(file);
  return read ? resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

void add_process_metrics(Registry& registry) {
  const double started =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  registry.add_collector([started](GaugeSink& sink) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    sink.set(Family::BuildInfo, {TIDEGATE_VERSION}, 1);
    sink.set(Family::StartTimeSeconds, {}, started);
    sink.set(Family::ProcessResidentMemoryBytes, {}, static_cast<double>(resident_bytes()));
    sink.set(Family::ProcessOpenFds, {}, open_descriptors());
    sink.set(Family::ProcessMaxFds, {}, static_cast<double>(limit.rlim_cur));
    sink.set(Family::LogDroppedTotal, {}, static_cast<double>(log::lost_lines()));
    sink.set(Family::ProcessCpuSecondsTotal, {}, cpu_seconds());
  });
}

}  // namespace tidegate::telemetry
