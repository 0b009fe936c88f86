"""The real 0.5B in Neovim: what it says is drawn, and Tab inserts that."""

import os
from pathlib import Path

import pytest
from conftest import environment

WEIGHTS = os.environ.get("GHOSTLINE_TEST_WEIGHTS")

SETTINGS = """
[roles.completion]
candidates = ["embedded/{weights}"]
[index]
enabled = false
"""

CODE = """def fibonacci(n):
    if n < 2:
        return n
"""


@pytest.mark.skipif(not WEIGHTS, reason="NO REAL MODEL: GHOSTLINE_TEST_WEIGHTS names no weights")
def test_a_real_model_goes_on_with_what_is_typed(start, tmp_path):
    env = environment(tmp_path, SETTINGS.format(weights=Path(WEIGHTS).resolve()))
    vim = start(env=env)
    vim.open("fibonacci.py", CODE, "python")
    vim.ready()
    vim.lua("vim.bo.expandtab, vim.bo.shiftwidth = true, 4")
    vim.type("Go<C-d>return fibonacci(n - 1)")
    vim.type(" +")
    # It appears at its first word and grows.
    vim.wait_for_ghost(" fibonacci(n - 2)")
    vim.type("<Tab>")
    vim.wait_for("it in the text", "vim.api.nvim_get_current_line() == '    return fibonacci(n - 1) + fibonacci(n - 2)'")
