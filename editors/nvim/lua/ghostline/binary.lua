--- Where the program is, and whether it is new enough.

local M = {}

--- The oldest server this plugin speaks with.
M.oldest = '0.1.0'

--- The command that starts the server, and where the program is; nil where there is none.
---@return string[]? cmd
function M.cmd()
  local configured = require('ghostline.config').current.cmd
  if configured then
    return vim.fn.executable(configured[1]) == 1 and configured or nil
  end
  local cargo = (vim.env.CARGO_HOME or vim.fs.joinpath(vim.env.HOME or '', '.cargo')) .. '/bin/ghostline'
  for _, program in ipairs({ 'ghostline', cargo }) do
    if vim.fn.executable(program) == 1 then
      return { program, 'serve' }
    end
  end
end

--- What a subcommand needs to count with the same settings as the server.
---@return table<string, string>
function M.env()
  local settings = require('ghostline.config').current.settings
  return { GHOSTLINE_EDITOR_SETTINGS = next(settings) and vim.json.encode(settings) or '{}' }
end

--- What to do where there is no program.
function M.how_to_install()
  local configured = require('ghostline.config').current.cmd
  if configured then
    return ('%s is not a program; change `cmd`, or leave it out'):format(configured[1])
  end
  return 'the program `ghostline` is not in PATH; run `make install` in its checkout, or set `cmd`'
end

--- The program's version, or nil and why not. Runs the program.
---@return string? version, string? problem
function M.version()
  local cmd = M.cmd()
  if not cmd then
    return nil, M.how_to_install()
  end
  local ok, result = pcall(function()
    return vim.system({ cmd[1], '--version' }, { text = true, timeout = 5000 }):wait()
  end)
  if not ok or result.code ~= 0 then
    return nil, ('%s --version does not answer'):format(cmd[1])
  end
  local version = result.stdout:match('(%d+%.%d+%.%d+)')
  if not version then
    return nil, ('%s is another program: it says %q'):format(cmd[1], vim.trim(result.stdout))
  end
  if vim.version.lt(version, M.oldest) then
    return version, ('%s is version %s; this plugin needs %s'):format(cmd[1], version, M.oldest)
  end
  return version
end

return M
