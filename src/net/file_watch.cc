// SPDX-License-Identifier: Apache-2.0
#include "net/file_watch.h"

#include <event2/event.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "net/event_loop.h"

namespace tidegate::net {
namespace {

// An editor that saves by rename makes two or three events within a moment.
constexpr auto kSettle = std::chrono::milliseconds(50);
// Kubernetes replaces all files of a mounted secret at once by replacing this symbolic link.
constexpr std::string_view kSwappedFolder = "..data";
// As many as the kernel follows.
constexpr int kMostLinks = 40;
constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_MOVED_FROM;

std::string folder_of(const std::string& path) {
  return path.substr(0, std::max<size_t>(path.rfind('/'), 1));
}

/// Where a symbolic link leads, one step; empty: it is none.
std::string target_of(const std::string& path) {
  std::array<char, PATH_MAX> to;
  const ssize_t size = ::readlink(path.c_str(), to.data(), to.size());
  if (size <= 0 || static_cast<size_t>(size) == to.size()) return {};
  const std::string target(to.data(), static_cast<size_t>(size));
  if (target.front() == '/') return target;
  const std::string folder = folder_of(path);
  return (folder == "/" ? folder : folder + "/") + target;
}

/// `path` with its first symbolic link replaced by where that leads; empty: it has none. `plain`
/// remembers folders that are no links.
std::string follow_first_link(const std::string& path, std::set<std::string>& plain) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string front = path.substr(0, end);
    if (!plain.contains(front)) {
      const std::string target = target_of(front);
      if (!target.empty()) return end == std::string::npos ? target : target + path.substr(end);
      if (end != std::string::npos) plain.insert(front);
    }
    if (end == std::string::npos) return {};
  }
}

}  // namespace

FileWatch::FileWatch(EventLoop& loop, OnChange on_change)
    : loop_(loop),
      on_change_(std::move(on_change)),
      fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      settle_([](void* self) { static_cast<FileWatch*>(self)->on_settled(); }, this) {
  if (!fd_) return;
  event_ = event_new(
      loop.base(), fd_.get(), EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<FileWatch*>(self)->on_readable(); },
      this);
  event_add(event_, nullptr);
}

FileWatch::~FileWatch() {
  if (event_ != nullptr) event_free(event_);
}

bool FileWatch::watch(const std::vector<std::string>& files) {
  files_ = {files.begin(), files.end()};
  return watch_folders();
}

// Anew each time, since a folder's name may by now lead to another one; the kernel gives the same
// descriptor where it does not.
bool FileWatch::watch_folders() {
  follow_links();
  std::map<std::string, bool> wanted;  // true: files stand in it, not only below
  for (const auto& [path, files] : seen_as_) {
    std::string folder = folder_of(path);
    wanted[folder] = true;
    while (folder != "/" && wanted.emplace(folder = folder_of(folder), false).second) {
    }
  }
  std::multimap<int, std::string> watched;
  bool all = true;
  for (const auto& [folder, holds_files] : wanted) {
    const int descriptor = ::inotify_add_watch(fd_.get(), folder.c_str(), kEvents);
    if (descriptor >= 0) {
      watched.emplace(descriptor, folder);
    } else {
      all = all && !holds_files;
    }
  }
  for (const auto& [descriptor, folder] : folders_) {
    if (!watched.contains(descriptor)) ::inotify_rm_watch(fd_.get(), descriptor);
  }
  folders_ = std::move(watched);
  return all;
}

void FileWatch::on_readable() {
  bool news = false;
  alignas(inotify_event) char buffer[4096];
  while (true) {
    const ssize_t size = ::read(fd_.get(), buffer, sizeof buffer);
    if (size <= 0) break;
    for (ssize_t at = 0; at < size;) {
      const auto* one = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + one->len);
      if (one->mask & IN_Q_OVERFLOW) {
        changed_.insert(files_.begin(), files_.end());
        news = true;
      }
      if (one->len == 0) continue;
      const auto [first, last] = folders_.equal_range(one->wd);
      for (auto folder = first; folder != last; ++folder) {
        news = on_event(folder->second, one->name) || news;
      }
    }
  }
  // What strangers do beside the files does not put it off.
  if (news) loop_.timers().arm(settle_, kSettle);
  loop_.flush_dirty();
}

bool FileWatch::on_event(const std::string& folder, std::string_view name) {
  const std::string front = folder == "/" ? folder : folder + "/";
  const std::string path = front + std::string(name);
  bool news = false;
  const auto tell = [&](const std::set<std::string>& files) {
    changed_.insert(files.begin(), files.end());
    news = true;
  };
  if (const auto exactly = seen_as_.find(path); exactly != seen_as_.end()) tell(exactly->second);
  // The folder above some files, or the link through which all in this one are seen.
  const std::string above = name == kSwappedFolder ? front : path + "/";
  for (auto one = seen_as_.lower_bound(above);
       one != seen_as_.end() && one->first.starts_with(above); ++one) {
    tell(one->second);
  }
  return news;
}

// At each step of a link, a name may come to mean another file.
void FileWatch::follow_links() {
  seen_as_.clear();
  std::set<std::string> plain;
  for (const std::string& file : files_) {
    std::string path = file;
    for (int steps = 0; !path.empty() && steps <= kMostLinks; ++steps) {
      seen_as_[path].insert(file);
      path = follow_first_link(path, plain);
    }
  }
}

void FileWatch::on_settled() {
  const std::set<std::string> changed = std::exchange(changed_, {});
  watch_folders();
  on_change_(changed);
}

}  // namespace tidegate::net
