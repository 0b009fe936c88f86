"""Measures, inside Neovim, the time from a key press to the screen drawn with its ghost text: not a test.

    SAMPLES=200 PYTHON editors/nvim/tests/latency.py

with GHOSTLINE_BIN and GHOSTLINE_OLLAMA_DOUBLE as `.ci/test` sets them. The settings are the defaults but
for the backend: a scripted Ollama whose first token comes after BACKEND_MS. Prints one JSON object.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3] / "tests" / "lsp"))
from conftest import Editor, environment  # noqa: E402

BACKEND_MS = 20
RULES = [{"when": "", "steps": [{"wait_ms": BACKEND_MS}, {"text": " = 42;"}]}]
SETTINGS = '[backends.fake]\nkind = "ollama"\nurls = ["{url}"]\n[index]\nenabled = false\n'

# `on_end` runs when a screen has been drawn; a key is a request of its own, for the ghost of the last
# one was dismissed and its text is not what the key types.
WATCH = """
local name = vim.api.nvim_create_namespace('ghostline')
local pressed
vim.on_key(function(_, typed)
  if typed and typed:match('^[b-k]$') then pressed = vim.uv.hrtime() end
end)
vim.api.nvim_set_decoration_provider(vim.api.nvim_create_namespace('latency'), {
  on_start = function() return true end,
  on_end = function()
    if pressed and #vim.api.nvim_buf_get_extmarks(0, name, 0, -1, {}) > 0 then
      local taken_ms = (vim.uv.hrtime() - pressed) / 1e6
      pressed = nil
      vim.schedule(function() vim.rpcnotify(0, 'drawn', taken_ms) end)
    end
  end,
})
"""


def drawn(nvim):
    """What `WATCH` measured; no waiting inside Neovim, which would not draw meanwhile."""
    while (message := nvim.next_message())[1] != "drawn":
        pass
    return message[2][0]


def measure(samples, folder):
    script = folder / "script.json"
    script.write_text(json.dumps(RULES))
    arguments = ["--port", "0", "--prefill-us", "0", "--token-ms", "0", "--script", str(script)]
    with subprocess.Popen([os.environ["GHOSTLINE_OLLAMA_DOUBLE"], *arguments], stdout=subprocess.PIPE, text=True) as double:
        try:
            url = double.stdout.readline().strip()
            vim = Editor(environment(folder, SETTINGS.format(url=url)), folder)
            vim.open("cart.js", "function total(prices) {\n  const a")
            vim.ready()
            vim.lua(WATCH)
            vim.type("GA")
            taken = []
            for number in range(samples):
                vim.type("bcdefghijk"[number % 10])
                taken.append(drawn(vim.nvim))
                vim.type("<C-]>")
                vim.wait_for_no_ghost()
                if number % 30 == 29:
                    vim.type(" = 0;<CR>const a<C-]>")
                    vim.wait_for("the new line", "vim.api.nvim_get_current_line():match('const a$')")
            version = vim.lua("return tostring(vim.version())")
            vim.close()
        finally:
            double.kill()
    return sorted(taken), version


# Says when its child has ended after its loop.
logging.getLogger("asyncio").setLevel(logging.ERROR)
with tempfile.TemporaryDirectory() as folder:
    times, neovim = measure(int(os.environ.get("SAMPLES", "200")), Path(folder))
spread = {name: round(times[min(len(times) - 1, int(share * len(times)))], 1) for name, share in [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("max", 1)]}
print(json.dumps({"neovim": neovim, "samples": len(times), "backendMs": BACKEND_MS, "keyToGhostMs": spread}))
