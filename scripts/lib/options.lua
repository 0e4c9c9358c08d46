-- SPDX-License-Identifier: Apache-2.0
-- Checks a policy's options while it loads, so that a slip in the config is refused by `tidegate
-- check` and by a reload, and is never met by a client.
--
--   local opt = require("lib.options") {
--     allow = "cidrs",               -- must be given
--     status = { "number", 403 },    -- may be left out: 403 then
--     realm = { "string" },          -- may be left out: nil then
--   }
--
-- Types: string, number, boolean; list (of texts); map; cidrs (a list of addresses and blocks, given
-- back as what proxy.ip.cidr makes of it). Unknown, missing and wrong options raise, by name.

local function keys_and_values(value, key_type, value_type)
  if type(value) ~= "table" then return false end
  for key, element in pairs(value) do
    if type(key) ~= key_type or (value_type and type(element) ~= value_type) then return false end
  end
  return true
end

local function is(kind)
  return function(value) return type(value) == kind end
end
local function is_list(value) return keys_and_values(value, "number", "string") end

local kinds = {
  string = { is("string"), "a text" },
  number = { is("number"), "a number" },
  boolean = { is("boolean"), "true or false" },
  list = { is_list, "a list of texts" },
  map = { function(value) return keys_and_values(value, "string") end, "a mapping" },
  cidrs = { is_list, "a list of addresses or blocks", proxy.ip.cidr },
}

-- The value as the policy gets it; or nil and what is wrong.
local function check(name, rule, value)
  local optional = type(rule) == "table"
  local matches, expected, convert = unpack(kinds[optional and rule[1] or rule])
  if value == nil and optional then value = rule[2] end
  if value == nil then
    return nil, not optional and ("option '%s' is missing: %s"):format(name, expected) or nil
  end
  if not matches(value) then
    return nil, ("option '%s' must be %s"):format(name, expected)
  end
  if not convert then return value end
  local fine, result = pcall(convert, value)
  if fine then return result end
  return nil, ("option '%s': %s"):format(name, (result:gsub("^[^:]+:%d+: ", "")))  -- not our own place
end

return function(known)
  local given, checked, names = options or {}, {}, {}
  for name in pairs(known) do names[#names + 1] = name end
  table.sort(names)
  for name in pairs(given) do
    if not known[name] then
      error(("there is no option '%s'; there are: %s"):format(name, table.concat(names, ", ")), 2)
    end
  end
  for _, name in ipairs(names) do
    local value, problem = check(name, known[name], given[name])
    if problem then error(problem, 2) end
    checked[name] = value
  end
  return checked
end
