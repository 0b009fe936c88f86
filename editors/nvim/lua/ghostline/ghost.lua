--- Ghost text: asks for it and draws it. `ghostline.accept` inserts it.
---
--- One ghost at a time, of the buffer in which the person types. An item is anchored where the server
--- put it; what the person types after that place must be what the item says, else it is dropped. So
--- typing along redraws at once, and an answer that comes late is never drawn at a wrong place.

local client = require('ghostline.client')
local config = require('ghostline.config')
local text = require('ghostline.text')

local M = {}

local namespace = vim.api.nvim_create_namespace('ghostline')

---@class ghostline.Ghost
---@field bufnr integer
---@field row integer the line, from 0
---@field start_column integer where the item's text begins, in bytes
---@field end_column integer where the text it replaces ends, in bytes, when `line` stood there
---@field line string the line for which `end_column` holds
---@field insert string what stands from `start_column` on when all is accepted
---@field skipped integer bytes of the item's text that stand in lines above `row`
---@field item table as the server sent it
---@field complete boolean false while it may grow

---@type ghostline.Ghost?
local ghost
--- Numbers requests: an answer to any but the newest is too late.
local newest = 0
--- The request without an answer yet.
---@type { id: integer, client: vim.lsp.Client }?
local pending
--- Where the ghost was looked at last: events that change nothing are passed over.
local seen = ''
--- Where the person dismissed it: nothing is drawn there any more.
local dismissed
--- Milliseconds from the last request to its answer.
M.latency_ms = nil

--- Whether ghost texts are wanted at all, and in this buffer.
M.enabled = true
function M.is_enabled(bufnr)
  return M.enabled and vim.b[bufnr].ghostline_enabled ~= false
end

local function clear_marks()
  if ghost and vim.api.nvim_buf_is_loaded(ghost.bufnr) then
    vim.api.nvim_buf_clear_namespace(ghost.bufnr, namespace, 0, -1)
  end
end

--- Takes the ghost away, and gives up what was asked for.
function M.clear()
  newest = newest + 1
  seen = ''
  if pending then
    client.cancel(pending.client, pending.id)
    pending = nil
  end
  M.drop()
end

local function inserting()
  local mode = vim.api.nvim_get_mode().mode
  return mode:sub(1, 1) == 'i' or mode:sub(1, 1) == 'R'
end

--- Whether a menu with completions is open: Neovim's own, nvim-cmp's or blink.cmp's.
local function menu_is_open()
  if vim.fn.pumvisible() == 1 then
    return true
  end
  for _, name in ipairs({ 'cmp', 'blink.cmp' }) do
    local menu = package.loaded[name]
    local visible = type(menu) == 'table' and (menu.visible or menu.is_visible)
    if type(visible) == 'function' and visible() then
      return true
    end
  end
  return false
end

--- What of the ghost is not in the document yet, the text right of the cursor that it replaces, and the
--- rest of the line behind that; nil where it does not belong.
---@return string? rest, string? right, string? behind
local function fitting()
  if not ghost or ghost.bufnr ~= vim.api.nvim_get_current_buf() then
    return
  end
  local cursor = vim.api.nvim_win_get_cursor(0)
  if cursor[1] - 1 ~= ghost.row or cursor[2] < ghost.start_column then
    return
  end
  local line = vim.api.nvim_get_current_line()
  -- What was typed since stands left of the cursor; the text right of it is as it was.
  local right_bytes = #ghost.line - ghost.end_column
  local end_column = #line - right_bytes
  if end_column < cursor[2] or line:sub(end_column + 1) ~= ghost.line:sub(ghost.end_column + 1) then
    return
  end
  if line:sub(1, ghost.start_column) ~= ghost.line:sub(1, ghost.start_column) then
    return
  end
  local typed = line:sub(ghost.start_column + 1, cursor[2])
  return text.rest(ghost.insert, typed), line:sub(cursor[2] + 1, end_column), line:sub(end_column + 1)
end

--- Lines below the cursor's, with the text `behind` the ghost at the end of the last.
local function virtual_lines(lines, behind, tabstop)
  local drawn = vim.tbl_map(function(line)
    return { { text.expand_tabs(line, 0, tabstop), 'GhostlineGhost' } }
  end, lines)
  if behind ~= '' then
    local column = vim.fn.strdisplaywidth(lines[#lines])
    table.insert(drawn[#drawn], { text.expand_tabs(behind, column, tabstop), 'Normal' })
  end
  return drawn
end

local function draw(rest, right, behind)
  clear_marks()
  if menu_is_open() and config.current.beside_menu == 'hide' then
    return
  end
  local bufnr, row = ghost.bufnr, ghost.row
  local column = vim.api.nvim_win_get_cursor(0)[2]
  local tabstop = vim.bo[bufnr].tabstop
  local lines = vim.split(rest, '\n', { plain = true })
  local first = table.remove(lines, 1)
  local screen = vim.fn.strdisplaywidth(vim.api.nvim_get_current_line():sub(1, column))
  -- A ghost of several lines takes along what stands behind it.
  local moved = #lines > 0 and behind or ''
  local covered = right .. moved
  local pieces = text.weave(first, right)
  if pieces and (#lines == 0 or covered == '') then
    for _, piece in ipairs(pieces) do
      vim.api.nvim_buf_set_extmark(bufnr, namespace, row, column + piece.at, {
        virt_text = { { text.expand_tabs(piece.text, screen, tabstop), 'GhostlineGhost' } },
        virt_text_pos = 'inline',
        hl_mode = 'combine',
        -- Drawn after the text that is typed in front of it.
        right_gravity = true,
      })
    end
  else
    -- The text right of the cursor will be another, or elsewhere: the ghost covers it.
    local shown = text.expand_tabs(first, screen, tabstop)
    local missing = vim.api.nvim_strwidth(covered) - vim.api.nvim_strwidth(shown)
    vim.api.nvim_buf_set_extmark(bufnr, namespace, row, column, {
      virt_text = { { shown .. (' '):rep(missing), 'GhostlineGhost' } },
      virt_text_pos = 'overlay',
      hl_mode = 'combine',
    })
  end
  if #lines > 0 then
    vim.api.nvim_buf_set_extmark(bufnr, namespace, row, column, {
      virt_lines = virtual_lines(lines, moved, tabstop),
    })
  end
end

--- Takes the ghost away; what was asked for may still come.
function M.drop()
  clear_marks()
  ghost = nil
end

--- Draws the ghost where it belongs, or drops it. True when one is there.
function M.redraw()
  local rest, right, behind = fitting()
  if not rest then
    M.drop()
    return false
  end
  draw(rest, right, behind)
  return true
end

--- Takes the server's items for the cursor's line, if they belong there.
local function show(items, bufnr, from, complete)
  local item = items and (items.items or items)[1]
  if not item then
    return M.drop()
  end
  if not inserting() or bufnr ~= vim.api.nvim_get_current_buf() then
    return
  end
  local insert = type(item.insertText) == 'table' and item.insertText.value or item.insertText
  insert = insert:gsub('\r\n', '\n')
  local cursor = vim.api.nvim_win_get_cursor(0)
  local row = item.range and item.range.start.line or cursor[1] - 1
  local line = vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1]
  if not line then
    return
  end
  local start_column, end_column = cursor[2], cursor[2]
  if item.range then
    start_column = text.to_byte(line, item.range.start.character, from.offset_encoding)
    end_column = text.to_byte(line, item.range['end'].character, from.offset_encoding)
  end
  clear_marks()
  ghost = {
    bufnr = bufnr,
    row = row,
    start_column = start_column,
    end_column = end_column,
    line = line,
    insert = insert,
    skipped = 0,
    item = item,
    complete = complete,
  }
  if M.redraw() then
    client.notify(from, 'textDocument/didShowCompletion', { item = item })
  end
end

--- Asks for a ghost text at the cursor.
---@param explicit boolean whether the person asked
local function request(explicit)
  local bufnr = vim.api.nvim_get_current_buf()
  local server = client.get(bufnr)
  if not server then
    return
  end
  newest = newest + 1
  local number = newest
  local cursor = vim.api.nvim_win_get_cursor(0)
  local began = vim.uv.hrtime()
  local params = client.position_params(server, bufnr, cursor[1] - 1, cursor[2])
  params.context = { triggerKind = explicit and 1 or 2 }
  params.formattingOptions = {
    tabSize = vim.lsp.util.get_effective_tabstop(bufnr),
    insertSpaces = vim.bo[bufnr].expandtab,
  }
  local id = client.request(server, 'textDocument/inlineCompletion', params, function(err, items)
    if number ~= newest then
      return
    end
    pending = nil
    M.latency_ms = (vim.uv.hrtime() - began) / 1e6
    -- A failure is in the status; nothing pops up while somebody types.
    if not err and items ~= nil and items ~= vim.NIL then
      show(items, bufnr, server, true)
    end
  end, bufnr)
  pending = id and { id = id, client = server } or nil
end

--- Which text the cursor is in, and where.
local function place()
  local bufnr = vim.api.nvim_get_current_buf()
  local cursor = vim.api.nvim_win_get_cursor(0)
  return ('%d %d %d %d'):format(bufnr, vim.api.nvim_buf_get_changedtick(bufnr), cursor[1], cursor[2])
end

--- The text or the cursor may be elsewhere: keeps what belongs, asks where something changed.
function M.update()
  local bufnr = vim.api.nvim_get_current_buf()
  if not M.is_enabled(bufnr) or not inserting() or vim.fn.reg_executing() ~= '' then
    return M.clear()
  end
  local now = place()
  if now == seen then
    return
  end
  seen, dismissed = now, nil
  M.redraw()
  request(false)
end

--- The menu opened, closed, or has another entry: the ghost may be in its way.
function M.menu_changed()
  if ghost then
    M.redraw()
  end
end

--- Asks here and now, also where no ghost comes by itself.
function M.trigger()
  if inserting() then
    -- Neovim tells of a change once no key is left to read: that of the key before this one is told later.
    seen, dismissed = place(), nil
    M.redraw()
    request(true)
  end
end

--- Hides the ghost until the text changes.
function M.dismiss()
  local had = ghost ~= nil
  local was = seen
  M.clear()
  seen, dismissed = was, was
  return had
end

--- The ghost on the screen, what of it is not in the document yet, and the text right of the cursor
--- that it replaces; nil where there is none.
---@return ghostline.Ghost?, string?, string?
function M.visible()
  local rest, right = fitting()
  if rest and not (menu_is_open() and config.current.beside_menu == 'hide') then
    return ghost, rest, right
  end
end

--- Whether a ghost is on the screen.
function M.is_visible()
  return M.visible() ~= nil
end

--- What is shown, with the text it replaces, for tests and status lines.
function M.shown()
  local rest, right = fitting()
  return rest and { text = rest, replaces = right } or nil
end

--- The ghost that was answered has grown.
client.listeners['ghostline/completionUpdated'] = function(params, from)
  local bufnr = vim.api.nvim_get_current_buf()
  if dismissed == seen or vim.uri_from_bufnr(bufnr) ~= params.uri or vim.lsp.util.buf_versions[bufnr] ~= params.version then
    return
  end
  local cursor = vim.api.nvim_win_get_cursor(0)
  local item = params.items[1]
  if item and item.range.start.line == cursor[1] - 1 and M.is_enabled(bufnr) then
    show(params.items, bufnr, from, params.complete)
  end
end

--- Tells the server what was copied: it may help with the next lines.
function M.copied()
  local event = vim.v.event
  local server = client.get(0)
  if server and event.operator == 'y' and #event.regcontents > 0 then
    client.notify(server, 'ghostline/didCopy', {
      text = table.concat(event.regcontents, '\n'),
      uri = vim.uri_from_bufnr(0),
    })
  end
end

--- Tells the server where the cursor rests in normal mode: the prompt for that place is made ahead.
function M.moved()
  local bufnr = vim.api.nvim_get_current_buf()
  local server = client.get(bufnr)
  if server and M.is_enabled(bufnr) then
    local cursor = vim.api.nvim_win_get_cursor(0)
    local params = client.position_params(server, bufnr, cursor[1] - 1, cursor[2])
    client.notify(server, 'ghostline/didMoveCursor', { uri = params.textDocument.uri, position = params.position })
  end
end

local function define_highlight()
  vim.api.nvim_set_hl(0, 'GhostlineGhost', { default = true, link = 'Comment' })
end

--- Listens to the editor. Called once.
function M.listen()
  define_highlight()
  local group = vim.api.nvim_create_augroup('ghostline.ghost', {})
  local on = function(events, callback)
    vim.api.nvim_create_autocmd(events, { group = group, callback = callback })
  end
  on('ColorScheme', define_highlight)
  on({ 'InsertEnter', 'TextChangedI', 'TextChangedP', 'CursorMovedI' }, function()
    if config.current.inline == 'plugin' then
      M.update()
    end
  end)
  on({ 'CompleteChanged', 'CompleteDone' }, vim.schedule_wrap(M.menu_changed))
  on({ 'InsertLeave', 'BufLeave', 'WinLeave', 'CmdlineEnter' }, M.clear)
  on('ModeChanged', function()
    if not inserting() then
      M.clear()
    end
  end)
  on('TextYankPost', M.copied)
  on('CursorMoved', M.moved)
end

return M
