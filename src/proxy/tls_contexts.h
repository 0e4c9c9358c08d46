// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "config/snapshot.h"
#include "net/tls_client_context.h"
#include "net/tls_server_context.h"

namespace tidegate::proxy {

/// The TLS contexts of one configuration, immutable and shared by the workers.
struct TlsContexts {
  std::vector<std::shared_ptr<const net::TlsServerContext>> listeners;  // nullptr: cleartext
  std::vector<std::shared_ptr<const net::TlsClientContext>> clusters;
  bool operator==(const TlsContexts&) const = default;
};

/// Reads the files that `config` names (blocks: off the workers). A context whose files and
/// settings are those of `previous` is taken over; so is one of the same place that can not be read
/// now, so that one broken file does not hold the others up. Every fault is appended to `errors` as
/// "file:line: what".
TlsContexts load_tls(const config::Snapshot& config, const TlsContexts* previous,
                     const std::shared_ptr<const net::TlsTicketKeys>& keys,
                     std::vector<std::string>& errors);

/// Certificates that have expired or are not valid yet, a message each.
std::vector<std::string> doubtful_certificates(const config::Snapshot& config,
                                               const TlsContexts& contexts, int64_t unix_seconds);

/// All files that `config` names for TLS.
std::vector<std::string> tls_files(const config::Snapshot& config);

}  // namespace tidegate::proxy
