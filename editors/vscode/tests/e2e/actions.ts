/** What a person does and sees in the window. */
import type { Frame, Page } from "playwright-core";
import { join } from "node:path";
import { outputFolder } from "./editor.ts";
import { eventually } from "./patience.ts";

/** Opens a file of the workspace and puts the cursor at its end. */
export async function openAtEnd(page: Page, file: string): Promise<void> {
  await page.locator(".explorer-folders-view .monaco-list-row", { hasText: file }).dblclick();
  await page.waitForSelector(`.tab.active[data-resource-name="${file}"]`);
  await page.locator(".editor-instance .view-lines").click();
  await page.locator(".editor-instance .monaco-editor.focused").first().waitFor();
  await page.keyboard.press("Control+End");
}

/** The status bar item, once its text fits. */
export async function statusIs(page: Page, text: RegExp): Promise<void> {
  await page.locator("#ghostline\\.ghostline\\.ghostline\\.status", { hasText: text }).waitFor();
}

/** Lines of ghost text as drawn; nothing when there is none. */
export function ghost(page: Page): Promise<string | undefined> {
  return page.evaluate(readGhost);
}

/** Waits until the ghost text satisfies `wanted`, as a regular expression over its lines. */
export async function ghostIs(page: Page, wanted: RegExp): Promise<string> {
  const handle = await page.waitForFunction(
    ({ read, source }) => {
      const text = (new Function(`return (${read})()`) as () => string | undefined)();
      return text !== undefined && new RegExp(source).test(text) ? text : false;
    },
    { read: readGhost.toString(), source: wanted.source },
    { polling: "raf" },
  );
  return (await handle.jsonValue()) as string;
}

export async function ghostIsGone(page: Page): Promise<void> {
  await page.waitForFunction(() => !document.querySelector(".ghost-text-decoration, .ghost-text"), undefined, { polling: "raf" });
}

/** The text of the open editor, line by line, without ghost text. */
export function lines(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const rows = [...document.querySelectorAll<HTMLElement>(".editor-instance .view-lines .view-line")];
    rows.sort((a, b) => parseInt(a.style.top) - parseInt(b.style.top));
    return rows.map((row) => {
      const copy = row.cloneNode(true) as HTMLElement;
      for (const ghost of copy.querySelectorAll("[class*=ghost-text]")) ghost.remove();
      return (copy.textContent ?? "").replaceAll("\u00a0", " ");
    });
  });
}

/** Waits until some line of the editor satisfies `wanted`. */
export async function lineIs(page: Page, wanted: RegExp): Promise<void> {
  let now: string[] = [];
  const otherwise = () => `no line is like ${wanted}:\n${now.join("\n")}`;
  await eventually(otherwise, async () => {
    now = await lines(page);
    return now.find((line) => wanted.test(line));
  });
}

/** Waits until a field has this text. */
export async function fieldIs(page: Page | Frame, selector: string, text: string): Promise<void> {
  let now = "";
  const otherwise = () => `the field ${selector} has ${JSON.stringify(now)}, not ${JSON.stringify(text)}`;
  await eventually(otherwise, async () => {
    now = await page.locator(selector).inputValue();
    return now === text || undefined;
  });
}

/** Runs a command of the palette by its title. */
export async function command(page: Page, title: string): Promise<void> {
  await page.keyboard.press("F1");
  await page.waitForSelector(".quick-input-widget .monaco-inputbox input");
  await page.keyboard.type(title);
  await page.locator(".quick-input-list .monaco-list-row", { hasText: title }).first().waitFor();
  await page.keyboard.press("Enter");
}

/** A picture for people to look at. */
export async function picture(page: Page, name: string): Promise<void> {
  // Menus fade in.
  await page.screenshot({ path: join(outputFolder, `${name}.png`), animations: "disabled" });
}

/** The page inside a webview that has an element like this. */
export function pageWith(page: Page, selector: string): Promise<Frame> {
  return eventually(() => `no page has ${selector}`, async () => {
    for (const frame of page.frames()) {
      if (await frame.$(selector).catch(() => null)) return frame;
    }
    return undefined;
  });
}

/** Notifications that are on the screen. */
export function notifications(page: Page): Promise<string[]> {
  return page.locator(".notifications-toasts .notification-list-item-message").allTextContents();
}

/** Runs in the page. */
function readGhost(): string | undefined {
  const inline = [...document.querySelectorAll(".ghost-text-decoration, .ghost-text-decoration-preview")];
  const below = [...document.querySelectorAll(".suggest-preview-text .view-line, .ghost-text > .view-line")];
  if (inline.length + below.length === 0) return undefined;
  const first = inline.map((span) => span.textContent ?? "").join("");
  return [first, ...below.map((line) => line.textContent ?? "")].join("\n").replaceAll("\u00a0", " ");
}
