--- `:checkhealth ghostline`: what is there, and the command that mends what is not.

local M = {}

local function check_editor(health)
  health.start('Editor')
  if vim.fn.has('nvim-0.10') == 1 then
    health.ok(('Neovim %s'):format(tostring(vim.version())))
  else
    health.error('Neovim is older than 0.10', 'install a newer Neovim')
  end
  if vim.lsp.inline_completion then
    health.info("Neovim's own inline completion is there too: setup({ inline = 'builtin' }) uses it")
  end
  local accept = require('ghostline.config').current.keymaps.accept
  local mapped = accept and vim.fn.maparg(accept, 'i', false, true)
  if mapped and not (mapped.desc or ''):find('ghostline', 1, true) then
    health.warn(('%s is mapped by something else'):format(accept), {
      "call require('ghostline').accept() from that mapping, which answers false where there is no ghost text",
      'or set another key: keymaps.accept',
    })
  end
end

local function check_program(health)
  health.start('Program')
  local binary = require('ghostline.binary')
  local version, problem = binary.version()
  if problem then
    health.error(problem, binary.how_to_install())
  else
    health.ok(('%s, version %s'):format(table.concat(binary.cmd(), ' '), version))
  end
end

local function check_server(health)
  health.start('Server')
  local client = require('ghostline.client')
  local running = client.any()
  if not running then
    health.info('not running: open a file first')
    return
  end
  local answered = vim.lsp.buf_is_attached(0, running.id) and 'the current buffer' or 'other buffers'
  health.ok(('running for %s'):format(answered))
  local done, status = false, nil
  client.request(running, 'ghostline/status', vim.empty_dict(), function(_, result)
    done, status = true, result
  end)
  vim.wait(2000, function()
    return done
  end)
  if not status then
    health.error('the server does not answer', ':Ghostline restart')
    return
  end
  local say = ({ ready = health.ok, unavailable = health.error })[status.state] or health.warn
  say(status.message, status.state ~= 'ready' and { ':Ghostline doctor' } or nil)
  for role, state in vim.spairs(status.roles or {}) do
    local by = type(state.model) == 'string' and (' by %s (%s)'):format(state.model, state.backend) or ''
    health.info(('%s: %s%s'):format(role, state.state, by))
  end
end

function M.check()
  local health = vim.health
  check_editor(health)
  check_program(health)
  check_server(health)
end

return M
