--- The language client: one server for all files, and what it tells.

local binary = require('ghostline.binary')
local config = require('ghostline.config')

local M = {}

M.name = 'ghostline'

--- How the server stands, as `ghostline/status` tells; nil while none runs.
---@type table?
M.status = nil

--- Functions that hear of notifications and progress; the parts that want them put themselves in.
---@type table<string, fun(params: table, client: vim.lsp.Client)>
M.listeners = {}
---@type table<string|integer, fun(value: table)>
M.progress = {}

--- Said once in a session: that there is no program.
local said_missing = false

--- Calls a client's method in the way of the running Neovim: they were plain functions before 0.11.
local function call(client, method, ...)
  if vim.fn.has('nvim-0.11') == 1 then
    return client[method](client, ...)
  end
  return client[method](...)
end

--- The server of a buffer; 0 or nothing is the current one.
---@return vim.lsp.Client?
function M.get(bufnr)
  return vim.lsp.get_clients({ bufnr = bufnr or 0, name = M.name })[1]
end

--- Any running server.
---@return vim.lsp.Client?
function M.any()
  return M.get(0) or vim.lsp.get_clients({ name = M.name })[1]
end

--- Sends a request; `handler(error, result)`. Pending changes of the buffer go first. Returns its id.
---@return integer? id
function M.request(client, method, params, handler, bufnr)
  local ok, id = call(client, 'request', method, params, function(err, result)
    handler(err, result)
  end, bufnr)
  return ok and id or nil
end

function M.notify(client, method, params)
  return call(client, 'notify', method, params)
end

function M.cancel(client, id)
  return call(client, 'cancel_request', id)
end

--- Runs one of the server's commands.
function M.execute(client, command, arguments, handler, bufnr)
  local params = { command = command, arguments = arguments }
  return M.request(client, 'workspace/executeCommand', params, handler or function() end, bufnr)
end

--- The name of a buffer's document, its version, and a position in the client's encoding.
function M.position_params(client, bufnr, row, column)
  local line = vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1] or ''
  local text = require('ghostline.text')
  return {
    textDocument = { uri = vim.uri_from_bufnr(bufnr), version = vim.lsp.util.buf_versions[bufnr] },
    position = { line = row, character = text.to_character(line, column, client.offset_encoding) },
  }
end

--- The server's settings as the protocol wants them: an empty Lua table would be an array.
local function settings()
  local ours = config.current.settings
  return { ghostline = next(ours) and ours or vim.empty_dict() }
end

local function capabilities()
  local ours = {
    textDocument = { inlineCompletion = { dynamicRegistration = false } },
    experimental = { ghostline = { completionUpdates = config.current.inline == 'plugin', markdown = true } },
  }
  return vim.tbl_deep_extend('force', vim.lsp.protocol.make_client_capabilities(), ours)
end

local function told(method)
  return function(_, params, context)
    local listener = M.listeners[method]
    local client = vim.lsp.get_client_by_id(context.client_id)
    if listener and client and params then
      listener(params, client)
    end
  end
end

local function handlers()
  return {
    ['ghostline/statusChanged'] = function(_, params)
      M.status = params
      vim.api.nvim_exec_autocmds('User', { pattern = 'GhostlineStatus', modeline = false })
      vim.cmd.redrawstatus({ bang = true })
    end,
    ['ghostline/completionUpdated'] = told('ghostline/completionUpdated'),
    ['ghostline/showMarkdown'] = told('ghostline/showMarkdown'),
    ['$/progress'] = function(err, params, context)
      local ours = params and M.progress[params.token]
      if ours then
        ours(params.value)
      else
        vim.lsp.handlers['$/progress'](err, params, context)
      end
    end,
  }
end

--- The folder of a buffer's project.
function M.root(bufnr)
  return vim.fs.root(bufnr, { '.ghostline.toml', '.git' }) or vim.fn.getcwd()
end

--- Whether a buffer's text is a file that a person edits.
function M.wants(bufnr)
  local filetypes = config.current.filetypes
  local bo = vim.bo[bufnr]
  local on = filetypes[bo.filetype]
  if on == nil then
    on = filetypes['*'] ~= false
  end
  return on and bo.buftype == '' and bo.modifiable and vim.api.nvim_buf_get_name(bufnr) ~= ''
end

--- Adds a folder to a running server's.
local function add_folder(client, root)
  local folder = { uri = vim.uri_from_fname(root), name = vim.fs.basename(root) }
  client.workspace_folders = client.workspace_folders or {}
  for _, known in ipairs(client.workspace_folders) do
    if known.uri == folder.uri then
      return
    end
  end
  table.insert(client.workspace_folders, folder)
  M.notify(client, 'workspace/didChangeWorkspaceFolders', { event = { added = { folder }, removed = {} } })
end

--- Starts the server for a buffer, or joins it to the one that runs: weights are loaded once.
---@return integer? client_id
function M.attach(bufnr)
  if not M.wants(bufnr) then
    return
  end
  local running = vim.lsp.get_clients({ name = M.name })[1]
  local cmd = binary.cmd()
  if not running and not cmd then
    if not said_missing then
      said_missing = true
      vim.notify('ghostline: ' .. binary.how_to_install(), vim.log.levels.WARN)
    end
    return
  end
  local root = M.root(bufnr)
  if running and not running:is_stopped() then
    -- Before the server has answered `initialize` it may not be told of folders.
    if running.initialized then
      add_folder(running, root)
    end
    vim.lsp.buf_attach_client(bufnr, running.id)
    return running.id
  end
  return vim.lsp.start({
    name = M.name,
    cmd = cmd,
    root_dir = root,
    init_options = settings(),
    settings = settings(),
    capabilities = capabilities(),
    handlers = handlers(),
    get_language_id = function(_, filetype)
      return filetype
    end,
    on_init = function(client)
      M.request(client, 'ghostline/status', vim.empty_dict(), function(err, status)
        if not err then
          M.status = status
        end
      end)
      for buffer in pairs(client.attached_buffers) do
        add_folder(client, M.root(buffer))
      end
    end,
    on_exit = function(code, signal)
      M.status = nil
      if code ~= 0 and signal ~= 15 then
        vim.schedule(function()
          local log = vim.lsp.get_log_path and vim.lsp.get_log_path() or vim.lsp.log.get_filename()
          vim.notify(('ghostline: the server ended with %d; its log: %s'):format(code, log), vim.log.levels.ERROR)
        end)
      end
    end,
  }, { bufnr = bufnr })
end

--- Ends the server; files are joined to a new one by `attach`.
function M.stop(done)
  local clients = vim.lsp.get_clients({ name = M.name })
  for _, client in ipairs(clients) do
    call(client, 'stop')
  end
  if done then
    local timer = assert(vim.uv.new_timer())
    timer:start(0, 20, vim.schedule_wrap(function()
      if #vim.lsp.get_clients({ name = M.name }) == 0 and not timer:is_closing() then
        timer:stop()
        timer:close()
        done()
      end
    end))
  end
end

return M
