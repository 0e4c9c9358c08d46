// SPDX-License-Identifier: Apache-2.0
#include "net/file_watch.h"

#include <event2/event.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>

#include "net/event_loop.h"

namespace tidegate::net {
namespace {

// An editor that saves by rename makes two or three events within a moment.
constexpr auto kSettle = std::chrono::milliseconds(50);
// Kubernetes replaces all files of a mounted secret at once by replacing this symbolic link.
constexpr std::string_view kSwappedFolder = "..data";
constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_MOVED_FROM;

}  // namespace

FileWatch::FileWatch(EventLoop& loop, OnChange on_change)
    : loop_(loop),
      on_change_(std::move(on_change)),
      fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      settle_([](void* self) { static_cast<FileWatch*>(self)->on_settled(); }, this) {
  if (!fd_) return;
  event_ = event_new(
      loop.base(), fd_.get(), EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<FileWatch*>(self)->on_readable(); }, this);
  event_add(event_, nullptr);
}

FileWatch::~FileWatch() {
  if (event_ != nullptr) event_free(event_);
}

bool FileWatch::watch(const std::vector<std::string>& files) {
  files_.clear();
  std::set<std::string> wanted;
  for (const std::string& file : files) {
    files_.insert(file);
    wanted.insert(file.substr(0, std::max<size_t>(file.rfind('/'), 1)));
  }
  std::erase_if(folders_, [&](const auto& entry) {
    if (wanted.erase(entry.second) > 0) return false;
    ::inotify_rm_watch(fd_.get(), entry.first);
    return true;
  });
  bool all = true;
  for (const std::string& folder : wanted) {
    const int descriptor = ::inotify_add_watch(fd_.get(), folder.c_str(), kEvents);
    if (descriptor < 0) {
      all = false;
    } else {
      folders_[descriptor] = folder;
    }
  }
  return all;
}

void FileWatch::on_readable() {
  alignas(inotify_event) char buffer[4096];
  while (true) {
    const ssize_t size = ::read(fd_.get(), buffer, sizeof buffer);
    if (size <= 0) break;
    for (ssize_t at = 0; at < size;) {
      const auto* one = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + one->len);
      if (one->mask & IN_Q_OVERFLOW) changed_.insert(files_.begin(), files_.end());
      const auto folder = folders_.find(one->wd);
      if (folder == folders_.end() || one->len == 0) continue;
      const std::string path = folder->second + "/" + one->name;
      if (files_.contains(path)) changed_.insert(path);
      if (kSwappedFolder == one->name) add_folder(folder->second);
    }
  }
  if (!changed_.empty()) loop_.timers().arm(settle_, kSettle);
  loop_.flush_dirty();
}

void FileWatch::add_folder(const std::string& folder) {
  for (const std::string& file : files_) {
    if (file.substr(0, std::max<size_t>(file.rfind('/'), 1)) == folder) changed_.insert(file);
  }
}

void FileWatch::on_settled() {
  const std::set<std::string> changed = std::exchange(changed_, {});
  on_change_(changed);
}

}  // namespace tidegate::net
