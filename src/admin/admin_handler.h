// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "admin/admin_api.h"
#include "proxy/handler.h"

namespace tidegate::admin {

/// Carries exchanges of the admin listener to the API and its answers back. Put in the place of the
/// admin listener's one route; control thread. `api` outlives it.
class AdminHandler final : public proxy::Handler {
 public:
  explicit AdminHandler(AdminApi& api) : api_(api) {}
  void handle(proxy::Exchange& exchange) override;

 private:
  AdminApi& api_;
};

}  // namespace tidegate::admin
