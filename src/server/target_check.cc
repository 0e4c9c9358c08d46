// SPDX-License-Identifier: Apache-2.0
#include "server/target_check.h"

#include <filesystem>

#include "base/ip.h"
#include "base/strings.h"

namespace tidegate::server {
namespace {

namespace fs = std::filesystem;

void check_folder_of(const std::string& file, const std::string& what,
                     std::vector<std::string>& faults) {
  std::error_code error;
  const fs::path folder = fs::path(file).parent_path();
  if (!folder.empty() && !fs::is_directory(folder, error)) {
    faults.push_back(what + ": there is no folder " + folder.string());
  } else if (fs::is_directory(file, error)) {
    faults.push_back(what + ": " + file + " is a folder");
  }
}

}  // namespace

std::vector<std::string> target_faults(const config::Snapshot& snapshot) {
  std::vector<std::string> faults;
  if (snapshot.log.access == config::AccessLogTarget::File) {
    check_folder_of(snapshot.log.access_file, "log.access", faults);
  }
  for (const config::Listener& listener : snapshot.listeners) {
    if (!listener.address.is_unix) continue;
    check_folder_of(listener.address.host, "listener " + listener.name, faults);
  }
  if (snapshot.admin.address && snapshot.admin.address->is_unix) {
    check_folder_of(snapshot.admin.address->host, "admin.address", faults);
  }
  return faults;
}

std::string doubtful_admin(const config::Admin& admin) {
  if (!admin.address || admin.address->is_unix || !admin.token.empty()) return {};
  const auto ip = IpAddress::parse(admin.address->host);
  const bool local = ip ? ip->is_loopback() : iequals(admin.address->host, "localhost");
  if (local) return {};
  return "admin.address " + admin.address->to_string() +
         " is open to whoever reaches it, to read and to change: set admin.token, or use 127.0.0.1";
}

}  // namespace tidegate::server
