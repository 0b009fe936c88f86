--- Shows Markdown that the server sends: in a float beside the code.

local client = require('ghostline.client')

local M = {}

--- Opens a float with `markdown`; the same key closes it that closes any of Neovim's own.
---@return integer bufnr, integer winid
function M.float(title, markdown)
  local lines = vim.split(vim.trim(markdown), '\n', { plain = true })
  local bufnr, winid = vim.lsp.util.open_floating_preview(lines, 'markdown', {
    border = 'rounded',
    focus_id = 'ghostline',
    max_width = math.min(100, vim.o.columns - 4),
    max_height = math.floor(vim.o.lines * 0.7),
    close_events = { 'BufLeave', 'InsertEnter', 'CursorMoved' },
  })
  if title and title ~= '' then
    vim.api.nvim_win_set_config(winid, { title = ' ' .. title .. ' ', title_pos = 'left' })
  end
  return bufnr, winid
end

client.listeners['ghostline/showMarkdown'] = function(params)
  M.float(params.title or 'ghostline', params.markdown or '')
end

return M
