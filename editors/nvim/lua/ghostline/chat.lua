--- Chat in a split: the conversation above, what the person writes below.
---
--- The conversation's buffer only grows: each delta is appended where the last one ended, so a long
--- answer costs no more per token than a short one.

local client = require('ghostline.client')
local config = require('ghostline.config')

local M = {}

---@class ghostline.Chat
---@field bufnr integer the conversation
---@field prompt integer the buffer to write in
---@field conversation string? the server's name for it
---@field running { id: integer, client: vim.lsp.Client, token: string }? the answer under way
---@field turn integer? the last turn's number in it
---@field answer_line integer? the line, from 0, below the last answer's heading
---@field thinking boolean whether the text that came last is the model's thinking
---@field send_next boolean whether the prompt is sent as soon as the answer has ended

---@type ghostline.Chat?
local chat
local tokens = 0

local HOW_TO_ASK = 'Ask: <C-s> sends, <C-c> stops, q closes'
local headings = { person = '## You', model = '## ghostline' }

local function append(lines)
  vim.bo[chat.bufnr].modifiable = true
  local count = vim.api.nvim_buf_line_count(chat.bufnr)
  local empty = count == 1 and vim.api.nvim_buf_get_lines(chat.bufnr, 0, 1, false)[1] == ''
  vim.api.nvim_buf_set_lines(chat.bufnr, empty and 0 or count, -1, false, lines)
  vim.bo[chat.bufnr].modifiable = false
end

--- Keeps the end in view for those who look at it.
local function follow()
  local last = vim.api.nvim_buf_line_count(chat.bufnr)
  for _, window in ipairs(vim.fn.win_findbuf(chat.bufnr)) do
    if window ~= vim.api.nvim_get_current_win() then
      vim.api.nvim_win_set_cursor(window, { last, 0 })
    end
  end
end

local function append_text(added)
  vim.bo[chat.bufnr].modifiable = true
  local last = vim.api.nvim_buf_line_count(chat.bufnr) - 1
  local line = vim.api.nvim_buf_get_lines(chat.bufnr, last, last + 1, false)[1]
  vim.api.nvim_buf_set_text(chat.bufnr, last, #line, last, #line, vim.split(added, '\n', { plain = true }))
  vim.bo[chat.bufnr].modifiable = false
  follow()
end

--- Whether the prompt waits for the answer under way to end, and says so above it.
local function send_next(wanted)
  chat.send_next = wanted
  for _, window in ipairs(vim.fn.win_findbuf(chat.prompt)) do
    vim.wo[window].winbar = wanted and 'Sent when this answer has ended; <C-c> stops it' or HOW_TO_ASK
  end
end

local function new_buffer(name, filetype)
  local bufnr = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_name(bufnr, name)
  vim.bo[bufnr].bufhidden = 'hide'
  vim.bo[bufnr].filetype = filetype
  return bufnr
end

local function width()
  local wanted = config.current.chat.width
  return math.floor(wanted < 1 and vim.o.columns * wanted or wanted)
end

local function map(bufnr, modes, key, action, description)
  vim.keymap.set(modes, key, action, { buffer = bufnr, desc = 'ghostline: ' .. description })
end

local function make()
  chat = {
    bufnr = new_buffer('ghostline://chat', 'markdown'),
    prompt = new_buffer('ghostline://prompt', 'markdown'),
    thinking = false,
    send_next = false,
  }
  vim.bo[chat.bufnr].modifiable = false
  for _, bufnr in ipairs({ chat.bufnr, chat.prompt }) do
    map(bufnr, 'n', 'q', M.close, 'close the chat')
    map(bufnr, { 'n', 'i' }, '<C-c>', M.stop, 'stop the answer')
  end
  map(chat.prompt, 'n', '<CR>', M.send, 'send')
  map(chat.prompt, { 'n', 'i' }, '<C-s>', M.send, 'send')
  vim.api.nvim_create_autocmd('BufWipeout', {
    buffer = chat.bufnr,
    callback = function()
      M.stop()
      chat = nil
    end,
  })
end

--- Opens the chat, or goes to it.
function M.open()
  if not chat then
    make()
  end
  local window = vim.fn.win_findbuf(chat.bufnr)[1]
  if not window then
    vim.cmd(('botright %dvsplit'):format(width()))
    window = vim.api.nvim_get_current_win()
    vim.api.nvim_win_set_buf(window, chat.bufnr)
    vim.wo[window].wrap = true
    vim.wo[window].linebreak = true
    vim.wo[window].conceallevel = 2
    vim.wo[window].number = false
    vim.wo[window].relativenumber = false
  end
  local prompt = vim.fn.win_findbuf(chat.prompt)[1]
  if not prompt then
    vim.api.nvim_set_current_win(window)
    vim.cmd('belowright 5split')
    prompt = vim.api.nvim_get_current_win()
    vim.api.nvim_win_set_buf(prompt, chat.prompt)
    vim.wo[prompt].winfixheight = true
    vim.wo[prompt].number = false
    vim.wo[prompt].relativenumber = false
    vim.wo[prompt].winbar = HOW_TO_ASK
  end
  vim.api.nvim_set_current_win(prompt)
end

function M.close()
  for _, bufnr in ipairs(chat and { chat.prompt, chat.bufnr } or {}) do
    for _, window in ipairs(vim.fn.win_findbuf(bufnr)) do
      pcall(vim.api.nvim_win_close, window, true)
    end
  end
end

--- Whether an answer is under way.
function M.answering()
  return chat ~= nil and chat.running ~= nil
end

--- Stops the answer under way: the model stops too. What has come stays.
function M.stop()
  local running = chat and chat.running
  if running then
    client.cancel(running.client, running.id)
    -- Neovim keeps the answer to a cancelled request to itself.
    M.ended(running.token, { code = -32800 })
  end
end

--- Begins a conversation anew; the old one stays on disk.
function M.clear()
  M.stop()
  if chat then
    chat.conversation, chat.turn, chat.answer_line = nil, nil, nil
    vim.bo[chat.bufnr].modifiable = true
    vim.api.nvim_buf_set_lines(chat.bufnr, 0, -1, false, {})
    vim.bo[chat.bufnr].modifiable = false
  end
end

local function on_part(value)
  if not chat then
    return
  end
  if value.conversation then
    chat.conversation, chat.turn = value.conversation, value.turn
  elseif value.thinking then
    if not chat.thinking then
      chat.thinking = true
      append_text('*thinking:* ')
    end
    append_text((value.thinking:gsub('\n', ' ')))
  elseif value.delta then
    if chat.thinking then
      chat.thinking = false
      append({ '', '' })
    end
    if chat.running then
      chat.running.told = true
    end
    append_text(value.delta)
  end
end

local function reference_lines(references)
  local lines = {}
  for _, place in ipairs(references or {}) do
    local path = vim.fn.fnamemodify(vim.uri_to_fname(place.uri), ':~:.')
    table.insert(lines, ('- %s:%d'):format(path, place.range.start.line + 1))
  end
  return #lines > 0 and vim.list_extend({ '', 'From:' }, lines) or lines
end

--- The answer to the request with that token has come to its end. Called once for each.
function M.ended(token, err, result)
  client.progress[token] = nil
  if not chat or not chat.running or chat.running.token ~= token then
    return
  end
  local told = chat.running.told
  chat.running = nil
  chat.thinking = false
  if err then
    -- -32800: the person stopped it.
    append({ '', err.code == -32800 and '*stopped*' or ('**%s**'):format(err.message) })
  elseif result.message == '' and type(result.model) ~= 'string' then
    -- `/clear`.
    M.clear()
  else
    chat.conversation, chat.turn = result.conversation, result.turn
    if not told then
      -- No model was asked, so nothing came before.
      append_text(result.message)
    end
    append(reference_lines(result.references))
    for _, note in ipairs(result.notes or {}) do
      append({ '', ('*note: %s*'):format(note) })
    end
    if type(result.model) == 'string' then
      append({ '', ('*%s, %.1f s*'):format(result.model, result.usage.totalMs / 1000) })
    end
  end
  append({ '' })
  follow()
  local waits = chat.send_next
  send_next(false)
  -- Who stops an answer may want to change the question that waits.
  if waits and not err then
    M.send()
  end
end

--- The marked lines as an attachment; nil where nothing is marked.
---@param range { first: integer, last: integer }? lines from 1
---@param bufnr integer
function M.attachment(bufnr, range)
  if not range then
    return nil
  end
  return {
    uri = vim.uri_from_bufnr(bufnr),
    range = { start = { line = range.first - 1, character = 0 }, ['end'] = { line = range.last, character = 0 } },
  }
end

--- Asks the server in this conversation; the answer goes to the end of the buffer.
local function request(server, params)
  chat.answer_line = vim.api.nvim_buf_line_count(chat.bufnr) - 1
  tokens = tokens + 1
  local token = 'ghostline-chat-' .. tokens
  client.progress[token] = on_part
  params.conversation, params.partialResultToken = chat.conversation, token
  local id = client.request(server, 'ghostline/chat', params, function(err, result)
    M.ended(token, err, result)
  end)
  chat.running = { id = id, client = server, token = token }
  if not id then
    M.ended(token, { message = 'the server does not take requests; :Ghostline restart' })
  end
  follow()
end

--- Sends `message`; the answer streams into the conversation.
---@param message string
---@param options { attachments: table[]?, role: string? }?
function M.ask(message, options)
  options = options or {}
  -- The chat's own windows hold no file: any running server will do.
  local server = client.any()
  M.open()
  if not server then
    append({ '**No server runs. Open a file, or see `:checkhealth ghostline`.**', '' })
    return
  end
  if chat.running then
    append({ '', '*One answer at a time: <C-c> stops this one.*', '' })
    return
  end
  local shown = vim.list_extend({ headings.person, '' }, vim.split(message, '\n', { plain = true }))
  append(vim.list_extend(shown, { '', headings.model, '', '' }))
  request(server, { message = message, attachments = options.attachments, role = options.role })
end

--- Has the last question answered again; the old answer goes.
function M.regenerate()
  local server = client.any()
  if not chat or not chat.turn or not server or chat.running then
    vim.notify('ghostline: there is no answer to write anew, or it is still being written', vim.log.levels.WARN)
    return
  end
  M.open()
  vim.bo[chat.bufnr].modifiable = true
  vim.api.nvim_buf_set_lines(chat.bufnr, chat.answer_line, -1, false, { '' })
  vim.bo[chat.bufnr].modifiable = false
  request(server, { turn = chat.turn })
end

--- Sends what stands in the prompt, after the answer under way where there is one.
function M.send()
  if not chat then
    return
  end
  local message = vim.trim(table.concat(vim.api.nvim_buf_get_lines(chat.prompt, 0, -1, false), '\n'))
  if message == '' then
    return
  end
  if chat.running then
    return send_next(true)
  end
  vim.api.nvim_buf_set_lines(chat.prompt, 0, -1, false, {})
  M.ask(message)
end

return M
