--- Text and columns: no buffers, no windows, no state. Columns are bytes unless a name says otherwise.

local M = {}

--- The byte column of a protocol position's `character` in `line`.
---@param line string
---@param character integer
---@param encoding 'utf-8'|'utf-16'|'utf-32'
function M.to_byte(line, character, encoding)
  if encoding == 'utf-8' then
    return math.min(character, #line)
  end
  if vim.fn.has('nvim-0.11') == 1 then
    return vim.str_byteindex(line, encoding, character, false)
  end
  local ok, byte = pcall(vim.str_byteindex, line, character, encoding == 'utf-16')
  return ok and byte or #line
end

--- The protocol's `character` of the byte column `byte` in `line`.
---@param line string
---@param byte integer
---@param encoding 'utf-8'|'utf-16'|'utf-32'
function M.to_character(line, byte, encoding)
  byte = math.min(byte, #line)
  if encoding == 'utf-8' then
    return byte
  end
  if vim.fn.has('nvim-0.11') == 1 then
    return vim.str_utfindex(line, encoding, byte, false)
  end
  local utf32, utf16 = vim.str_utfindex(line, byte)
  return encoding == 'utf-16' and utf16 or utf32
end

--- How many UTF-16 units `text` has.
function M.utf16_length(text)
  return M.to_character(text, #text, 'utf-16')
end

--- What is left to insert of `text`, of which `typed` stands there already; nil where that differs.
function M.rest(text, typed)
  if vim.startswith(text, typed) and #text > #typed then
    return text:sub(#typed + 1)
  end
end

--- Finds the characters of `right` in `text`, in order: each piece of the result is what of `text`
--- stands before the byte `at` of `right`. nil where `right` is not all in there.
---@return { at: integer, text: string }[]?
function M.weave(text, right)
  local pieces = {}
  local from, at = 1, 0
  for _, character in ipairs(vim.fn.split(right, '\\zs')) do
    local found, last = text:find(character, from, true)
    if not found then
      return nil
    end
    if found > from then
      table.insert(pieces, { at = at, text = text:sub(from, found - 1) })
    end
    from, at = last + 1, at + #character
  end
  if from <= #text then
    table.insert(pieces, { at = at, text = text:sub(from) })
  end
  return pieces
end

--- How many bytes of `right` the beginning `part` of a text brings along, so that they are replaced.
function M.covered(part, right)
  local from, bytes = 1, 0
  for _, character in ipairs(vim.fn.split(right, '\\zs')) do
    local found, last = part:find(character, from, true)
    if not found then
      break
    end
    from, bytes = last + 1, bytes + #character
  end
  return bytes
end

--- The next word of `text` with the white space before it, as `w` goes: letters, marks in a row, or
--- characters of one script.
function M.next_word(text)
  local space = text:match('^%s*')
  local class
  local bytes = #space
  for _, character in ipairs(vim.fn.split(text:sub(#space + 1), '\\zs')) do
    local own = vim.fn.charclass(character)
    class = class or own
    if own ~= class then
      break
    end
    bytes = bytes + #character
  end
  return text:sub(1, bytes)
end

--- The next line of `text`: with the line break where it begins with one.
function M.next_line(text)
  local breaks = text:match('^\n*')
  local line = text:sub(#breaks + 1):match('^[^\n]*')
  return breaks .. line
end

--- `text` with tabs as spaces, where it begins at the screen column `column`.
function M.expand_tabs(text, column, tabstop)
  if not text:find('\t', 1, true) then
    return text
  end
  local parts = {}
  for chunk, tab in text:gmatch('([^\t]*)(\t?)') do
    table.insert(parts, chunk)
    column = column + vim.api.nvim_strwidth(chunk)
    if tab ~= '' then
      local width = tabstop - column % tabstop
      table.insert(parts, (' '):rep(width))
      column = column + width
    end
  end
  return table.concat(parts)
end

return M
