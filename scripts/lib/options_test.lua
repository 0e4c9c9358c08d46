-- SPDX-License-Identifier: Apache-2.0
-- Cases for lib/options.lua, each through a policy of its own; scripts/README.md says how they are read.
local policy = [[
  local opt = require("lib.options") {
    text = "string",
    count = { "number", 3 },
    words = { "list", {} },
    more = { "map" },
    nets = { "cidrs", { "127.0.0.0/8" } },
  }
  function on_request(request)
    request:reply(200, table.concat({ opt.text, opt.count, #opt.words, tostring(opt.more),
      tostring(opt.nets:contains("10.0.0.1")) }, " "))
  end
]]

return {
  {
    name = "what is not given has its default",
    policy = policy,
    options = { text = "a" },
    response = { body = "a 3 0 nil false" },
  },
  {
    name = "what is given counts",
    policy = policy,
    options = { text = "b", count = 4, words = { "x", "y" }, nets = { "10.0.0.0/8" } },
    response = { body = "b 4 2 nil true" },
  },
  {
    name = "a missing option is named",
    policy = policy,
    refused = "policy.lua:1: option 'text' is missing: a text",
  },
  {
    name = "an unknown option is named, with those there are",
    policy = policy,
    options = { text = "a", txet = "b" },
    refused = "there is no option 'txet'; there are: count, more, nets, text, words",
  },
  {
    name = "a text is no number",
    policy = policy,
    options = { text = "a", count = "4" },
    refused = "option 'count' must be a number",
  },
  {
    name = "a list holds texts only",
    policy = policy,
    options = { text = "a", words = { "x", 1 } },
    refused = "option 'words' must be a list of texts",
  },
  {
    name = "a list is no mapping",
    policy = policy,
    options = { text = "a", more = { "x" } },
    refused = "option 'more' must be a mapping",
  },
}
