// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/timers.h"
#include "net/owned_fd.h"

struct event;

namespace tidegate::net {

class EventLoop;

/// Tells when any of a set of files has changed: written, replaced by a rename, or come and gone.
/// It watches their folders, since editors and deployment tools replace files rather than write
/// them, and the folders above, any of which may be replaced as a whole, or be a link to the
/// present release. A file that is a link changes with what it leads to, too. Changes in quick
/// succession are told once, when they have settled.
class FileWatch {
 public:
  using OnChange = std::function<void(const std::set<std::string>& changed)>;

  FileWatch(EventLoop& loop, OnChange on_change);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  /// Absolute paths; replaces the former set. False: some folder could not be watched (the system's
  /// limit on watches), and changes there will go unnoticed.
  bool watch(const std::vector<std::string>& files);

 private:
  void on_readable();
  void on_settled();
  bool on_event(const std::string& folder, std::string_view name);
  bool watch_folders();
  /// Finds all paths under which the files can be changed, as links are now.
  void follow_links();

  EventLoop& loop_;
  OnChange on_change_;
  OwnedFd fd_;
  event* event_ = nullptr;
  Timer settle_;
  std::multimap<int, std::string> folders_;  // by watch descriptor; links may lead to the same one
  std::set<std::string> files_;
  std::map<std::string, std::set<std::string>>
      seen_as_;  // files, by their path and where links lead
  std::set<std::string> changed_;
};

}  // namespace tidegate::net
