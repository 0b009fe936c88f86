--- Hands ghost text over to Neovim 0.12's own client, `vim.lsp.inline_completion`.
---
--- It asks 200 ms after the last key, and shows what it was told before until then.

local M = {}

function M.is_there()
  return vim.lsp.inline_completion ~= nil
end

---@param on boolean
---@param bufnr integer
function M.enable(on, bufnr)
  vim.lsp.inline_completion.enable(on, { bufnr = bufnr })
end

--- An item inserts itself where it was when it was asked for. What the person typed on since is taken
--- away first; where that is something else than the item says, nothing is inserted.
local function fit(item)
  if not item.range then
    return item
  end
  local row, start_column, end_row, end_column = item.range:to_extmark()
  local cursor = vim.api.nvim_win_get_cursor(0)
  local line = vim.api.nvim_get_current_line()
  local before_cursor = line:sub(start_column + 1, cursor[2])
  if cursor[1] - 1 ~= row or row ~= end_row or not vim.startswith(item.insert_text, before_cursor) then
    return nil
  end
  if cursor[2] > end_column then
    vim.api.nvim_buf_set_text(0, row, end_column, row, cursor[2], {})
  end
  return item
end

--- Inserts the ghost text. False where there is none.
---@return boolean
function M.accept()
  return vim.lsp.inline_completion.get({ on_accept = fit })
end

return M
