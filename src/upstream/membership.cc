// SPDX-License-Identifier: Apache-2.0
#include "upstream/membership.h"

#include <algorithm>
#include <unordered_set>

namespace tidegate::upstream {

Membership::Membership(Pools& pools, std::vector<Member> members)
    : pools_(pools), members_(std::move(members)) {}

Membership::~Membership() {
  for (const Member& member : members_) pools_.give_back(*member.pool);
}

const Member* Membership::find(const Endpoint* endpoint) const {
  const auto at = std::ranges::find(members_, endpoint, &Member::endpoint);
  return at == members_.end() ? nullptr : &*at;
}

const Member* Membership::find(std::string_view address) const {
  const auto at = std::ranges::find_if(
      members_, [&](const Member& member) { return member.endpoint->address == address; });
  return at == members_.end() ? nullptr : &*at;
}

void Membership::retire(const Membership& successor) {
  std::unordered_set<const Pool*> staying;
  for (const Member& member : successor.members_) staying.insert(member.pool);
  for (const Member& member : members_) {
    if (!staying.contains(member.pool)) member.pool->retire();
  }
}

}  // namespace tidegate::upstream
