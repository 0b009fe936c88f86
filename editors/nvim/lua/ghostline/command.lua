--- `:Ghostline` and its subcommands.

local binary = require('ghostline.binary')
local client = require('ghostline.client')
local models = require('ghostline.models')

local M = {}

local function say(message, level)
  vim.notify('ghostline: ' .. message, level or vim.log.levels.INFO)
end

--- The running server, or a sentence that there is none.
local function server()
  local running = client.any()
  if not running then
    say('no server runs; open a file, or see :checkhealth ghostline', vim.log.levels.WARN)
  end
  return running
end

--- Says what failed, in the server's words.
local function report(err)
  if err then
    say(err.message or vim.inspect(err), vim.log.levels.ERROR)
  end
  return err ~= nil
end

--- Runs the program in a terminal below.
local function in_terminal(arguments)
  local cmd = binary.cmd()
  if not cmd then
    return say(binary.how_to_install(), vim.log.levels.ERROR)
  end
  vim.cmd('botright 15new')
  local command = vim.list_extend({ cmd[1] }, arguments)
  if vim.fn.has('nvim-0.11') == 1 then
    vim.fn.jobstart(command, { term = true, env = binary.env() })
  else
    vim.fn.termopen(command, { env = binary.env() })
  end
end

local function show_metrics(metrics, as_json)
  local lines = as_json and { vim.json.encode(metrics) } or require('ghostline.metrics').lines(metrics)
  local fenced = ('```%s\n%s\n```'):format(as_json and 'json' or 'text', table.concat(lines, '\n'))
  require('ghostline.markdown').float('metrics', fenced)
end

--- The lines that were marked before the command, from 1.
local function range_of(args)
  return args.range > 0 and { first = args.line1, last = args.line2 } or nil
end

local roles = { 'completion', 'chat', 'reasoning', 'vision', 'embedding' }

---@class ghostline.Subcommand
---@field about string
---@field run fun(words: string[], args: table)
---@field words (string[]|fun(): string[])[]? what may follow, by its place

---@type table<string, ghostline.Subcommand>
M.subcommands = {
  status = {
    about = 'how every role stands',
    run = function()
      local running = server()
      if running then
        client.request(running, 'ghostline/status', vim.empty_dict(), function(err, status)
          if not report(err) then
            client.status = status
            say(status.message)
          end
        end)
      end
    end,
  },
  metrics = {
    about = 'counters and latencies of this session, in words or as JSON',
    words = { { 'json' } },
    run = function(words)
      local running = server()
      if running then
        client.request(running, 'ghostline/metrics', vim.empty_dict(), function(err, metrics)
          if not report(err) then
            show_metrics(metrics, words[1] == 'json')
          end
        end)
      end
    end,
  },
  chat = {
    about = 'opens the chat, or asks there; a range goes along',
    run = function(words, args)
      local chat = require('ghostline.chat')
      local marked = chat.attachment(vim.api.nvim_get_current_buf(), range_of(args))
      if #words == 0 and not marked then
        return chat.open()
      elseif #words == 0 then
        return say('what about these lines? :Ghostline chat QUESTION', vim.log.levels.WARN)
      end
      chat.ask(table.concat(words, ' '), { attachments = marked and { marked } or nil })
    end,
  },
  new = {
    about = 'begins a new conversation',
    run = function()
      require('ghostline.chat').clear()
    end,
  },
  regenerate = {
    about = 'has the last question answered again',
    run = function()
      require('ghostline.chat').regenerate()
    end,
  },
  stop = {
    about = 'stops the answer under way',
    run = function()
      require('ghostline.chat').stop()
    end,
  },
  explain = {
    about = 'explains the marked lines, or the current one',
    run = function(_, args)
      local running = server()
      if running then
        local bufnr = vim.api.nvim_get_current_buf()
        local range = range_of(args) or { first = vim.fn.line('.'), last = vim.fn.line('.') }
        local marked = require('ghostline.chat').attachment(bufnr, range)
        client.execute(running, 'ghostline.explain', { marked }, report, bufnr)
      end
    end,
  },
  pause = {
    about = 'no ghost texts, everywhere or with `here` in this buffer',
    words = { { 'here' } },
    run = function(words)
      require('ghostline').enable(false, words[1] == 'here')
    end,
  },
  resume = {
    about = 'ghost texts again, everywhere or with `here` in this buffer',
    words = { { 'here' } },
    run = function(words)
      require('ghostline').enable(true, words[1] == 'here')
    end,
  },
  pull = {
    about = 'fetches a model: a role or a name; `stop` breaks it off',
    words = { vim.list_extend({ 'stop' }, roles) },
    run = function(words)
      local running = server()
      if running and words[1] == 'stop' then
        if not models.cancel then
          return say('nothing is being fetched')
        end
        models.cancel()
      elseif running then
        models.pull(running, words[1] or 'completion', function(err, got)
          if not report(err) and type(got) == 'table' then
            say(('%s is here'):format(got.model))
          end
        end)
      end
    end,
  },
  use = {
    about = 'makes a model the first choice: ROLE [MODEL]',
    words = { roles, models.installed },
    run = function(words)
      local running = server()
      if running then
        local arguments = { words[1] or 'completion', words[2] }
        client.execute(running, 'ghostline.selectModel', arguments, function(err, chosen)
          if not report(err) and type(chosen) == 'table' then
            say(('%s: %s, written to %s'):format(chosen.role, chosen.model, chosen.file))
          end
        end)
      end
    end,
  },
  doctor = {
    about = 'checks the whole set-up, in a terminal',
    run = function()
      in_terminal({ 'doctor' })
    end,
  },
  models = {
    about = 'what is installed where, in a terminal',
    run = function()
      in_terminal({ 'models', 'list' })
    end,
  },
  log = {
    about = "Neovim's log of language servers, with what this one says",
    run = function()
      local path = vim.lsp.log and vim.lsp.log.get_filename() or vim.lsp.get_log_path()
      vim.cmd.tabedit(vim.fn.fnameescape(path))
    end,
  },
  restart = {
    about = 'ends the server and starts it again',
    run = function()
      local buffers = {}
      for _, running in ipairs(vim.lsp.get_clients({ name = client.name })) do
        vim.list_extend(buffers, vim.tbl_keys(running.attached_buffers))
      end
      client.stop(function()
        for _, bufnr in ipairs(buffers) do
          if vim.api.nvim_buf_is_valid(bufnr) then
            client.attach(bufnr)
          end
        end
      end)
    end,
  },
}

local function names()
  local all = vim.tbl_keys(M.subcommands)
  table.sort(all)
  return all
end

--- What may stand next in the command line.
function M.complete(lead, line)
  local words = vim.split(line:gsub('^.*Ghostline%s+', ''), '%s+')
  local choices = names()
  if #words > 1 then
    choices = ((M.subcommands[words[1]] or {}).words or {})[#words - 1] or {}
  end
  if type(choices) == 'function' then
    choices = choices()
  end
  return vim.tbl_filter(function(choice)
    return vim.startswith(choice, lead)
  end, choices)
end

--- Runs what was typed; without words the status.
function M.run(args)
  local words = args.fargs
  local name = table.remove(words, 1) or 'status'
  local subcommand = M.subcommands[name]
  if not subcommand then
    return say(('there is no :Ghostline %s; there are %s'):format(name, table.concat(names(), ', ')), vim.log.levels.ERROR)
  end
  subcommand.run(words, args)
end

return M
