"""Emacs with eglot: a client that offers no position encodings and knows no inline completion."""

import json
import shutil
import subprocess

import pytest
from scripted_ollama import Reply

# Bounds a failure, not a success.
TIMEOUT_S = 60

# Opens a file, edits it, and asks for what ghostline answers; prints one line of JSON.
SCRIPT = r"""
(require 'eglot)
(setq eglot-sync-connect 30 eglot-autoshutdown t)
(add-to-list 'eglot-server-programs '(python-mode . ({program} "serve")))
(find-file {file})
(python-mode)
(eglot-ensure)
(run-hooks 'post-command-hook)
(let ((server (eglot--current-server-or-lose)))
  (goto-char (point-max))
  (insert "total =")
  (eglot--signal-textDocument/didChange)
  (let* ((items (jsonrpc-request server :textDocument/inlineCompletion
                  (append (eglot--TextDocumentPositionParams) '(:context (:triggerKind 1)))))
         (item (aref items 0)))
    (eglot-execute-command server 'ghostline.didAccept
                           (plist-get (plist-get item :command) :arguments))
    (princ (json-serialize
             `(:item ,item
               :metrics ,(jsonrpc-request server :ghostline/metrics eglot--{{}}))
             :false-object :json-false))))
"""


def elisp(text):
    return json.dumps(str(text), ensure_ascii=False)


@pytest.fixture
def emacs():
    found = shutil.which("emacs")
    probe = [found, "-q", "--batch", "--eval", "(require (quote eglot))"]
    if not found or subprocess.run(probe, capture_output=True).returncode != 0:
        pytest.skip("no Emacs with eglot: apt-get install emacs-nox elpa-eglot")
    return found


def test_eglot_opens_changes_completes_and_accepts(emacs, program, env, ollama, tmp_path):
    ollama.reply = Reply((" sum", "(größe)"))
    file = tmp_path / "a.py"
    # Before the cursor's line stand characters that are one or two units of UTF-16.
    file.write_text("größe = ['\U0001f600']\n")
    script = tmp_path / "test.el"
    script.write_text(SCRIPT.replace("{program}", elisp(program)).replace("{file}", elisp(file)).replace("{{}}", "{}"))
    done = subprocess.run(
        [emacs, "-q", "--batch", "--load", str(script)],
        env=env | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["item"]["insertText"] == " sum(größe)"
    assert answer["metrics"]["completions"]["accepted"] == 1
