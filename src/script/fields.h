// SPDX-License-Identifier: Apache-2.0
// What a script may read and write in which hook: one table, which stands in fields.cc, is compared
// with the reference (scripts/README.md) by a test, and words the errors.
#pragma once
#include <array>
#include <string>

#include "proxy/filter.h"
#include "script/handle.h"

namespace tidegate::script {

/// For each hook, whether a field can be read (a method: called) and written there.
struct FieldRule {
  proxy::HookSet read = 0;
  proxy::HookSet write = 0;
};

/// Field::None stands for what a handle has under any name: `headers[name]`, `vars[name]`.
using FieldRules =
    std::array<std::array<FieldRule, static_cast<size_t>(Field::Count_)>, kHandleKinds>;
extern const FieldRules kFieldRules;

inline bool may_read(HandleKind kind, Field field, proxy::Hook hook) {
  const auto& rule = kFieldRules[static_cast<size_t>(kind)][static_cast<size_t>(field)];
  return (rule.read & proxy::hook_bit(hook)) != 0;
}
inline bool may_write(HandleKind kind, Field field, proxy::Hook hook) {
  const auto& rule = kFieldRules[static_cast<size_t>(kind)][static_cast<size_t>(field)];
  return (rule.write & proxy::hook_bit(hook)) != 0;
}

/// The kinds of handles that can be written there under any name: bit per kind.
using KindSet = uint16_t;
static_assert(kHandleKinds <= 16);
KindSet writable_kinds(proxy::Hook hook);

/// nullptr for Field::None.
const char* name_of(Field field);
/// What messages and the reference call the object: "request.headers".
const char* path_of(HandleKind kind);

/// For the key at 2, which cannot be read or called: unknown, or not in this hook.
[[noreturn]] void raise_unreadable(lua_State* L, HandleKind kind, Field field, proxy::Hook hook);
/// For the key at 2: unknown, never to be set, or not in this hook.
[[noreturn]] void raise_unwritable(lua_State* L, HandleKind kind, Field field, proxy::Hook hook);

/// The table as the reference has it, in Markdown.
std::string fields_reference();

}  // namespace tidegate::script
