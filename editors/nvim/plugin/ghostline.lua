-- Loaded by Neovim at start. Defines the command and starts with the defaults unless
-- `require('ghostline').setup()` was or will be called; costs one autocommand until a file is opened.
if vim.g.loaded_ghostline then
  return
end
vim.g.loaded_ghostline = true

if vim.fn.has('nvim-0.10') == 0 then
  vim.notify('ghostline needs Neovim 0.10 or newer', vim.log.levels.ERROR)
  return
end

vim.api.nvim_create_user_command('Ghostline', function(args)
  require('ghostline.command').run(args)
end, {
  nargs = '*',
  range = true,
  desc = 'ghostline: completions, chat and models; see :help ghostline-commands',
  complete = function(lead, line)
    return require('ghostline.command').complete(lead, line)
  end,
})

-- After the person's own configuration, which may call setup() with something else.
local function start()
  if vim.g.ghostline_no_setup ~= true then
    require('ghostline').setup_once()
  end
end
if vim.v.vim_did_enter == 1 then
  start()
else
  vim.api.nvim_create_autocmd('VimEnter', { once = true, callback = start })
end
