--- What can be set. `require('ghostline').setup()` takes any part of the table below.

local M = {}

---@class ghostline.Keymaps
---@field accept string|false the whole ghost text; the key keeps its meaning where there is none
---@field accept_word string|false the next word of it
---@field accept_line string|false the next line of it
---@field dismiss string|false hides it until the text changes
---@field trigger string|false asks for one here and now, also where none comes by itself

---@class ghostline.Config
---@field cmd string[]? the server; nil takes `ghostline` from PATH or Cargo's folder of programs
---@field settings table the server's own settings, as in its config.toml: inline, roles, backends, …
---@field filetypes table<string, boolean> false keeps the server away from a filetype; ['*'] is the default
---@field inline 'plugin'|'builtin' who draws: this plugin, or Neovim 0.12's vim.lsp.inline_completion
---@field beside_menu 'hide'|'show' the ghost text while a completion menu is open
---@field keymaps ghostline.Keymaps
---@field chat { width: number } columns of the chat's window, or a share of the screen below 1
M.defaults = {
  cmd = nil,
  settings = {},
  filetypes = { ['*'] = true },
  inline = 'plugin',
  beside_menu = 'hide',
  keymaps = {
    accept = '<Tab>',
    accept_word = '<M-Right>',
    accept_line = '<M-Down>',
    dismiss = '<C-]>',
    trigger = '<M-\\>',
  },
  chat = { width = 0.4 },
}

---@type ghostline.Config
M.current = vim.deepcopy(M.defaults)

--- The type of each entry, by its path; what is not here is the server's own business.
local types = {
  cmd = 'table',
  settings = 'table',
  filetypes = 'table',
  inline = { 'plugin', 'builtin' },
  beside_menu = { 'hide', 'show' },
  keymaps = 'table',
  ['keymaps.accept'] = 'key',
  ['keymaps.accept_word'] = 'key',
  ['keymaps.accept_line'] = 'key',
  ['keymaps.dismiss'] = 'key',
  ['keymaps.trigger'] = 'key',
  chat = 'table',
  ['chat.width'] = 'number',
}

local function wrong(path, value)
  local wanted = types[path]
  if wanted == nil then
    return ('%s is not an option'):format(path)
  elseif type(wanted) == 'table' then
    if not vim.tbl_contains(wanted, value) then
      return ('%s must be one of %s'):format(path, table.concat(wanted, ', '))
    end
  elseif wanted == 'key' then
    if type(value) ~= 'string' and value ~= false then
      return ('%s must be a key or false'):format(path)
    end
  elseif type(value) ~= wanted then
    return ('%s must be a %s, not a %s'):format(path, wanted, type(value))
  end
end

--- Takes what is right of `options`; returns what is wrong with the rest, a sentence each.
---@param options table?
---@return string[]
function M.set(options)
  local problems = {}
  local kept = {}
  for key, value in pairs(options or {}) do
    local problem = wrong(key, value)
    if problem then
      table.insert(problems, problem)
    elseif key == 'keymaps' or key == 'chat' then
      kept[key] = {}
      for inner, inner_value in pairs(value) do
        problem = wrong(key .. '.' .. inner, inner_value)
        if problem then
          table.insert(problems, problem)
        else
          kept[key][inner] = inner_value
        end
      end
    else
      kept[key] = value
    end
  end
  table.sort(problems)
  M.current = vim.tbl_deep_extend('force', vim.deepcopy(M.defaults), kept)
  return problems
end

return M
