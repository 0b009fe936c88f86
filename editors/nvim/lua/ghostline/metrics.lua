--- The counters of `ghostline/metrics` in words. What has no words here is in the JSON, behind
--- `:Ghostline metrics json`.

local M = {}

--- Counts of `completions`, in the order of a person's questions.
local counted = {
  { 'requests', 'Places asked about' },
  { 'shown', 'Ghost text answered' },
  { 'fromCache', '- known already, as when you type along' },
  { 'joined', '- from an answer under way' },
  { 'generated', '- written anew by the model' },
  { 'accepted', 'Taken whole' },
  { 'partlyAccepted', 'Taken in part, counted by part' },
  { 'superseded', 'Overtaken by your next key' },
  { 'empty', 'Nothing that fits, or held back' },
  { 'skipped', 'Not wanted at that place, or switched off' },
  { 'failed', 'No model, or it failed' },
}

local timed = {
  { 'answerMs', 'From the question to ghost text' },
  { 'firstTokenMs', "To the model's first token" },
}

--- Milliseconds in the unit that reads best.
---@param ms number
function M.duration(ms)
  if ms >= 60000 then
    return ('%.1f min'):format(ms / 60000)
  elseif ms >= 1000 then
    return ('%.1f s'):format(ms / 1000)
  end
  return (ms < 10 and '%.1f ms' or '%.0f ms'):format(ms)
end

--- Lines for a person.
---@param metrics table what the server answered
---@return string[]
function M.lines(metrics)
  local completions = metrics.completions or {}
  local lines = { '# Ghost text', '' }
  for _, row in ipairs(counted) do
    if completions[row[1]] then
      table.insert(lines, ('%-42s %8d'):format(row[2], completions[row[1]]))
    end
  end
  vim.list_extend(lines, { '', '# How long it takes', '' })
  local head = #lines
  for _, row in ipairs(timed) do
    local times = completions[row[1]]
    if times and times.count > 0 then
      local within = ('half within %s, 95 %% within %s'):format(M.duration(times.p50), M.duration(times.p95))
      table.insert(lines, ('%-32s %s'):format(row[2], within))
    end
  end
  if #lines == head then
    table.insert(lines, 'Nothing was measured yet.')
  end
  if type(metrics.busyMs) == 'number' then
    table.insert(lines, ('%-32s %s'):format('The engine in ghostline computed', M.duration(metrics.busyMs)))
  end
  return lines
end

return M
