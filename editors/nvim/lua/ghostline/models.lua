--- Fetching and choosing models: `:Ghostline pull` and `:Ghostline use`.

local binary = require('ghostline.binary')
local client = require('ghostline.client')

local M = {}

--- How long the command line waits for the names of models.
local PATIENCE_MS = 3000

local number = 0

--- Shows one line below, in the place of the one before; keeps no history of it.
local function show(message)
  vim.api.nvim_echo({ { message } }, false, {})
end

--- Fetches a role's best model, or one by its name, and shows how far it is.
---@param running vim.lsp.Client
---@param name string
---@param done fun(err: table?, got: table?)
function M.pull(running, name, done)
  number = number + 1
  local token = 'ghostline/fetch/' .. number
  local cancel
  local function ended()
    client.progress[token] = nil
    -- Another fetch may have begun since.
    if M.cancel == cancel then
      M.cancel = nil
    end
  end
  local cancelled = false
  client.progress[token] = function(value)
    if value.kind == 'report' then
      local percent = value.percentage and (' (%d %%)'):format(value.percentage) or ''
      show(('ghostline: fetching %s: %s%s'):format(name, value.message or '', percent))
    elseif value.kind == 'end' and cancelled then
      -- Neovim keeps the answer to what was cancelled to itself.
      ended()
      show('ghostline: ' .. (value.message or 'cancelled'))
    end
  end
  local params = { command = 'ghostline.pullModel', arguments = { name }, workDoneToken = token }
  client.request(running, 'workspace/executeCommand', params, function(err, got)
    ended()
    done(err, got)
  end)
  --- Breaks the fetch off; the next one carries on. nil where none is under way.
  cancel = function()
    cancelled = true
    client.notify(running, 'window/workDoneProgress/cancel', { token = token })
  end
  M.cancel = cancel
end

--- The models that are installed anywhere, as `backend/model`; asks the program.
---@return string[]
function M.installed()
  local cmd = binary.cmd()
  if not cmd then
    return {}
  end
  local ok, result = pcall(function()
    local options = { text = true, timeout = PATIENCE_MS, env = binary.env() }
    return vim.system({ cmd[1], 'models', 'list', '--json' }, options):wait()
  end)
  local decoded, listing = pcall(vim.json.decode, ok and result.stdout or '')
  local names = {}
  for _, backend in ipairs(decoded and listing.backends or {}) do
    for _, model in ipairs(backend.models or {}) do
      table.insert(names, backend.name .. '/' .. model)
    end
  end
  return names
end

return M
