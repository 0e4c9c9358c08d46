// SPDX-License-Identifier: Apache-2.0
#include "config/endpoint_file.h"

#include <fmt/format.h>

#include <filesystem>

#include "config/check.h"
#include "config/table.h"
#include "config/text_file.h"
#include "config/yaml.h"

namespace tidegate::config {

namespace {

LoadedEndpoints read_endpoints(const Node& root, const std::string& folder, Errors errors) {
  std::vector<Endpoint> endpoints;
  Reader reader(folder, errors);
  list_of(endpoint_kind()).read(reader, root, endpoints);
  if (errors.empty()) {
    for (const EndpointFault& fault : faults_of(endpoints)) {
      const bool whole = fault.index == EndpointFault::kAll;
      errors.push_back({whole ? root.mark : root.children[fault.index].mark,
                        whole ? "" : fmt::format("[{}]", fault.index), fault.message});
    }
  }
  if (errors.empty()) return endpoints;
  sort_by_position(errors);
  return tl::unexpected(std::move(errors));
}

}  // namespace

LoadedEndpoints parse_endpoints(std::string_view text, const std::string& name,
                                const Environment& environment) {
  Errors errors;
  const auto root = parse_yaml(text, name, environment, errors);
  if (!root) return tl::unexpected(std::move(errors));
  return read_endpoints(*root, std::filesystem::path(name).parent_path().string(),
                        std::move(errors));
}

LoadedEndpoints endpoints_from_json(std::string_view json) {
  const Json value = Json::parse(json, nullptr, false);
  if (!value.is_discarded()) return read_endpoints(from_json(value), "", {});
  return tl::unexpected(Errors{{Mark{}, "", "is no JSON"}});
}

LoadedEndpoints load_endpoints(const std::string& path, const Environment& environment) {
  const auto text = read_text(path);
  if (text) return parse_endpoints(*text, path, environment);
  return tl::unexpected(
      Errors{{Mark{std::make_shared<const std::string>(path), 0, 0}, "", text.error()}});
}

}  // namespace tidegate::config
