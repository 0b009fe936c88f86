--- ghostline for Neovim: ghost text, chat and code actions from models on your own machine.
---
--- `setup()` is optional: the plugin starts with the defaults of `ghostline.config`. The help is in
--- `:help ghostline`.

local accept = require('ghostline.accept')
local builtin = require('ghostline.builtin')
local client = require('ghostline.client')
local config = require('ghostline.config')
local ghost = require('ghostline.ghost')

local M = {}

local started = false

--- Maps a key of insert mode to an action, and leaves the key its old meaning where the action has
--- nothing to do.
local function map(key, action, description)
  if not key then
    return
  end
  local older = vim.fn.maparg(key, 'i', false, true)
  vim.keymap.set('i', key, function()
    if config.current.inline == 'builtin' then
      -- Neovim's own client takes all of a text, and has nothing to take a part of it with.
      if key == config.current.keymaps.accept and M.accept() then
        return ''
      end
    elseif ghost.is_visible() then
      return '<Cmd>lua ' .. action .. '<CR>'
    end
    if older.callback then
      local keys = older.callback()
      return older.expr == 1 and keys or ''
    end
    if older.rhs and older.rhs ~= '' then
      return older.expr == 1 and vim.api.nvim_eval(older.rhs) or older.rhs
    end
    return key
  end, { expr = true, silent = true, desc = description })
end

local function map_keys()
  local keys = config.current.keymaps
  map(keys.accept, "require('ghostline').accept()", 'ghostline: insert the ghost text')
  map(keys.accept_word, "require('ghostline').accept('word')", 'ghostline: insert the next word')
  map(keys.accept_line, "require('ghostline').accept('line')", 'ghostline: insert the next line')
  map(keys.dismiss, "require('ghostline').dismiss()", 'ghostline: hide the ghost text')
  if keys.trigger then
    vim.keymap.set('i', keys.trigger, ghost.trigger, { desc = 'ghostline: ask for a ghost text here' })
  end
end

--- Gives a buffer its completions.
local function attach(bufnr)
  local id = vim.api.nvim_buf_is_loaded(bufnr) and client.attach(bufnr)
  if id and config.current.inline == 'builtin' and ghost.is_enabled(bufnr) then
    builtin.enable(true, bufnr)
  end
end

--- Starts, with `options` in the place of some defaults. May be called again with others.
---@param options ghostline.Config?
function M.setup(options)
  local problems = config.set(options)
  if config.current.inline == 'builtin' and not builtin.is_there() then
    table.insert(problems, "inline = 'builtin' needs Neovim 0.12")
    config.current.inline = 'plugin'
  end
  if #problems > 0 then
    vim.notify('ghostline.setup:\n' .. table.concat(problems, '\n'), vim.log.levels.WARN)
  end
  if not started then
    started = true
    ghost.listen()
    require('ghostline.markdown')
    local group = vim.api.nvim_create_augroup('ghostline', {})
    vim.api.nvim_create_autocmd({ 'FileType', 'BufWinEnter' }, {
      group = group,
      callback = function(args)
        attach(args.buf)
      end,
    })
    map_keys()
  end
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    attach(bufnr)
  end
end

--- Starts with the defaults unless `setup()` ran.
function M.setup_once()
  if not started then
    M.setup()
  end
end

--- Inserts the ghost text, or its next 'word' or 'line'. False where there is none.
---@param kind 'all'|'word'|'line'?
---@return boolean
function M.accept(kind)
  if config.current.inline == 'builtin' then
    return (kind or 'all') == 'all' and builtin.accept()
  end
  return accept.accept(kind)
end

--- Hides the ghost text. False where there is none.
---@return boolean
function M.dismiss()
  return ghost.dismiss()
end

--- Asks for a ghost text at the cursor, also where none comes by itself.
function M.trigger()
  ghost.trigger()
end

--- Whether a ghost text is on the screen.
---@return boolean
function M.is_visible()
  return ghost.is_visible()
end

--- Switches ghost texts off or on, everywhere or in the current buffer.
---@param on boolean
---@param here boolean?
function M.enable(on, here)
  if here then
    vim.b.ghostline_enabled = on
  else
    ghost.enabled = on
  end
  if not on then
    ghost.clear()
  end
  if config.current.inline == 'builtin' then
    for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
      if client.get(bufnr) then
        builtin.enable(ghost.is_enabled(bufnr), bufnr)
      end
    end
  end
end

--- One short text for a status line; empty where no server runs for the buffer.
---@return string
function M.statusline()
  if not client.get(0) then
    return ''
  elseif not ghost.is_enabled(0) then
    return 'ghostline paused'
  end
  local status = client.status
  if not status then
    return 'ghostline starting'
  end
  local completion = status.roles and status.roles.completion or {}
  if status.state == 'loading' and type(completion.loadedPercent) == 'number' then
    return ('ghostline loading %d %%'):format(completion.loadedPercent)
  end
  if completion.state == 'ready' and ghost.latency_ms then
    return ('ghostline %s %.0f ms'):format(status.state, ghost.latency_ms)
  end
  return 'ghostline ' .. status.state
end

return M
