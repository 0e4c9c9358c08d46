// SPDX-License-Identifier: Apache-2.0
// The sections of the field table, one function per struct of snapshot.h.
#pragma once
#include "config/section.h"
#include "config/snapshot.h"

namespace tidegate::config {

const Section& snapshot_section();  // the root
const Section& listener_section();
const Section& http2_section();
const Section& certificate_section();
const Section& listener_tls_section();
const Section& cluster_section();
const Section& cluster_tls_section();
const Section& endpoint_section();
const Section& locality_section();
const Section& dns_section();
const Section& resolver_section();
const Section& breaker_section();
const Section& health_check_section();
const Section& pool_section();
const Section& policy_section();
const Section& budget_section();
const Section& limit_section();
const Section& cluster_limits_section();
const Section& retry_section();
const Section& backoff_section();
const Section& hedge_section();
const Section& adaptive_concurrency_section();
const Section& route_section();
const Section& match_section();
const Section& respond_section();
const Section& redirect_section();
const Section& admin_section();
const Section& log_section();

/// Every section in the order of the reference.
std::vector<const Section*> all_sections();

// Kinds that are particular to one section.
Kind<Address> address_kind();
/// A unix socket's relative path starts from the config file's folder.
void make_absolute(Reader& reader, const Node& node, Address& address);
Kind<Endpoint> endpoint_kind();
Kind<HashOn> hash_on_kind();
/// `endpoints` of a cluster.
Kind<Cluster> endpoint_list_kind();
/// Given as an absolute path; read by endpoint_file.h.
Kind<std::string> endpoint_file_kind();
Kind<StatusSet> status_set_kind();
Kind<Redirect> redirect_kind();
/// A file that must exist and be readable; given as an absolute path.
Kind<std::string> script_path_kind();
Kind<std::string> readable_file_kind(const std::string& what);
/// Any YAML mapping, kept as JSON text.
Kind<std::string> options_kind();

}  // namespace tidegate::config
