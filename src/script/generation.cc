// SPDX-License-Identifier: Apache-2.0
#include "script/generation.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/file.h"
#include "script/libraries.h"
#include "script/lua.h"

namespace tidegate::script {
namespace {

namespace fs = std::filesystem;

uint64_t hash_of(std::string_view text) {  // FNV-1a
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

int append_piece(lua_State*, const void* piece, size_t size, void* to) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(piece), size);
  return 0;
}

// Messages of the compiler begin with a shortened name; this gives them the whole one.
std::string with_full_name(std::string message, const std::string& name) {
  const size_t colon = message.find(".lua:");
  const std::string_view tail = std::string_view(message).substr(0, colon);
  if (colon == std::string::npos || !tail.starts_with("...")) return message;
  return name.ends_with(std::string(tail.substr(3)) + ".lua") ? name + message.substr(colon + 4)
                                                              : message;
}

// The folder that the names of a generation's files are relative to.
std::string base_folder(const Chunk& main) {
  if (!main.path.ends_with(main.name) || main.path == main.name) return {};
  return main.path.substr(0, main.path.size() - main.name.size());
}

}  // namespace

std::string display_name(const std::string& path, const std::string& folder) {
  if (folder.empty()) return path;
  const std::string relative = fs::path(path).lexically_relative(folder).string();
  return relative.empty() || relative.starts_with("..") ? path : relative;
}

Fallible<std::shared_ptr<const Chunk>> compile_file(const std::string& path,
                                                    const std::string& name, bool small) {
  const auto fail = [&name](std::string_view what) {
    return tl::unexpected(fmt::format("{}: {}", name, what));
  };
  const Fallible<std::string> text = read_regular_file(path);
  if (!text) return fail(text.error());
  if (!text->empty() && text->front() == '\x1b') return fail("bytecode is not allowed");
  if (const char* why = small ? too_much_to_compile(*text) : nullptr; why != nullptr) {
    return fail(fmt::format("{}; require it at the top level of the script", why));
  }
  std::unique_ptr<lua_State, void (*)(lua_State*)> state(luaL_newstate(), lua_close);
  if (state == nullptr) return fail("out of memory");
  lua_State* L = state.get();
  if (luaL_loadbufferx(L, text->data(), text->size(), ("@" + name).c_str(), "t") != 0) {
    return tl::unexpected(with_full_name(lua_tostring(L, -1), name));
  }
  auto chunk = std::make_shared<Chunk>();
  chunk->path = path;
  chunk->name = name;
  chunk->hash = hash_of(*text);
  if (!small) chunk->local_hooks = find_local_hooks(*text);  // a module has no hooks
  lua_dump(L, append_piece, &chunk->bytecode);
  return std::shared_ptr<const Chunk>(std::move(chunk));
}

Fallible<std::shared_ptr<const Chunk>> Generation::module(const std::string& name,
                                                          bool in_hook) const {
  const std::lock_guard lock(mutex_);
  if (const auto known = modules_.find(name); known != modules_.end()) return known->second;
  std::string file = name;
  // "a.b" is a/b.lua, as everywhere in Lua.
  if (file.find('/') == std::string::npos) {
    for (char& c : file) {
      if (c == '.') c = '/';
    }
  }
  std::string looked;
  for (const std::string& folder : folders_) {
    for (const char* ending : {".lua", "/init.lua"}) {
      const std::string path = folder + "/" + file + ending;
      std::error_code error;
      if (!fs::exists(path, error)) continue;
      auto chunk = compile_file(path, display_name(path, base_folder(*main_)), in_hook);
      if (chunk) modules_.emplace(name, *chunk);
      return chunk;
    }
    looked += "\n\tno file '" + folder + "/" + file + ".lua'";
  }
  return tl::unexpected("module '" + name + "' not found:" + looked);
}

std::vector<std::string> Generation::hooks_of(const std::string& policy) const {
  const auto at = hooks_.find(policy);
  return at == hooks_.end() ? std::vector<std::string>() : at->second;
}

void Generation::note_hooks(const std::string& policy, std::vector<std::string> hooks) {
  hooks_[policy] = std::move(hooks);
}

std::vector<std::string> Generation::files() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> files{main_->path};
  for (const auto& [name, chunk] : modules_) files.push_back(chunk->path);
  return files;
}

bool Generation::is_current() const {
  const auto same = [](const Chunk& chunk) {
    const Fallible<std::string> text = read_regular_file(chunk.path);
    return text.has_value() && hash_of(*text) == chunk.hash;
  };
  const std::lock_guard lock(mutex_);
  if (!same(*main_)) return false;
  for (const auto& [name, chunk] : modules_) {
    if (!same(*chunk)) return false;
  }
  return true;
}

}  // namespace tidegate::script
