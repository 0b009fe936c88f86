/** The last step of the walkthrough: a sample in which a completion is missing. */
import * as vscode from "vscode";

const SAMPLE = `# A sample to try completions in; nothing is saved.
# Press Tab to take the ghost text, Escape to dismiss it.

def celsius_to_fahrenheit(celsius: float) -> float:
    """Converts degrees Celsius to degrees Fahrenheit."""
    return `;

export async function trySample(): Promise<void> {
  const document = await vscode.workspace.openTextDocument({ language: "python", content: SAMPLE });
  const editor = await vscode.window.showTextDocument(document);
  const end = document.positionAt(SAMPLE.length);
  editor.selection = new vscode.Selection(end, end);
  await vscode.commands.executeCommand("editor.action.inlineSuggest.trigger");
}
