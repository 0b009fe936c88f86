--- Inserts the ghost text, or a part of it. Called by `ghostline` for keys and by who maps their own.

local client = require('ghostline.client')
local ghost = require('ghostline.ghost')
local text = require('ghostline.text')

local M = {}

--- How much of a text each kind takes.
local kinds = {
  all = function(rest)
    return rest
  end,
  word = text.next_word,
  line = text.next_line,
}

--- Inserts `part` at the cursor in the place of the first `covered` bytes behind it.
local function insert(part, covered)
  -- One step of undo takes back just this.
  vim.bo.undolevels = vim.bo.undolevels
  local cursor = vim.api.nvim_win_get_cursor(0)
  local row, column = cursor[1] - 1, cursor[2]
  local lines = vim.split(part, '\n', { plain = true })
  vim.api.nvim_buf_set_text(0, row, column, row, column + covered, lines)
  local last = lines[#lines]
  vim.api.nvim_win_set_cursor(0, { row + #lines, #lines == 1 and column + #last or #last })
end

--- Inserts all of it: nothing is left to draw.
local function accept_all(accepted, rest, right, server)
  ghost.drop()
  insert(rest, #right)
  local command = accepted.item.command
  if server and command then
    client.execute(server, command.command, command.arguments, nil, accepted.bufnr)
  end
end

--- Inserts the beginning `part`; the rest stays on the screen.
---@param accepted ghostline.Ghost
local function accept_part(accepted, part, right, server)
  local covered = text.covered(part, right)
  local typed_bytes = vim.api.nvim_win_get_cursor(0)[2] - accepted.start_column
  insert(part, covered)
  local done = typed_bytes + #part
  local cursor = vim.api.nvim_win_get_cursor(0)
  accepted.end_column = cursor[2] + #right - covered
  accepted.line = vim.api.nvim_get_current_line()
  local last_break = part:match('.*()\n')
  if last_break then
    -- The rest goes on in a line further down.
    local above = typed_bytes + last_break
    accepted.insert = accepted.insert:sub(above + 1)
    accepted.skipped = accepted.skipped + above
    accepted.start_column = 0
    accepted.row = cursor[1] - 1
    done = done - above
  end
  if server then
    local bytes = accepted.skipped + done
    client.notify(server, 'textDocument/didPartiallyAcceptCompletion', {
      item = accepted.item,
      acceptedLength = text.utf16_length(accepted.item.insertText:sub(1, bytes)),
    })
  end
  ghost.redraw()
end

--- Inserts the ghost or its next word or line. False where there is none, so that a key can do
--- something else.
---@param kind 'all'|'word'|'line'?
---@return boolean
function M.accept(kind)
  local accepted, rest, right = ghost.visible()
  if not accepted then
    return false
  end
  local part = kinds[kind or 'all'](rest)
  local server = client.get(accepted.bufnr)
  if part == rest then
    accept_all(accepted, rest, right, server)
  else
    accept_part(accepted, part, right, server)
  end
  return true
end

return M
