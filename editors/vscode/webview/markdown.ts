/**
 * Markdown of a model as HTML. A model's text is data: HTML in it is shown as text, pictures are named
 * and not loaded, links go to http and https and open only when somebody follows them.
 */
import hljs from "highlight.js/lib/common";
import MarkdownIt from "markdown-it";

const markdown = new MarkdownIt({ html: false, linkify: false, breaks: false });

markdown.validateLink = (url) => /^https?:\/\//i.test(url.trim());

const { rules } = markdown.renderer;

rules["image"] = (tokens, index) => {
  const token = tokens[index];
  return `<span class="picture">[picture: ${markdown.utils.escapeHtml(token?.content ?? "")}]</span>`;
};

rules["link_open"] = (tokens, index, options, _env, self) => {
  const token = tokens[index];
  // The address is what the person should see before they follow it.
  token?.attrSet("title", String(token.attrGet("href")));
  token?.attrSet("rel", "noreferrer noopener");
  return self.renderToken(tokens, index, options);
};

rules["table_open"] = () => `<div class="wide"><table>\n`;
rules["table_close"] = () => `</table></div>\n`;

// The page allows no inline style, which is how markdown-it aligns.
for (const cell of ["th_open", "td_open"]) {
  rules[cell] = (tokens, index, options, _env, self) => {
    const token = tokens[index];
    const align = /text-align:\s*(\w+)/.exec(String(token?.attrGet("style")))?.[1];
    if (token && align) token.attrs = [["class", align]];
    return self.renderToken(tokens, index, options);
  };
}

rules["fence"] = (tokens, index) => block(tokens[index]?.content ?? "", tokens[index]?.info ?? "");
rules["code_block"] = (tokens, index) => block(tokens[index]?.content ?? "", "");

/** Past this length, in characters, colours cost more than they help. */
const MOST_HIGHLIGHTED = 50_000;

function block(code: string, info: string): string {
  const language = /^[\w+#.-]+/.exec(info)?.[0]?.toLowerCase() ?? "";
  const known = hljs.getLanguage(language) && code.length <= MOST_HIGHLIGHTED;
  const body = known ? hljs.highlight(code, { language, ignoreIllegals: true }).value : markdown.utils.escapeHtml(code);
  const name = markdown.utils.escapeHtml(language || "text");
  const button = (act: string, label: string, title: string) =>
    `<button type="button" class="quiet" data-act="${act}" title="${title}">${label}</button>`;
  return `<section class="code" aria-label="Code, ${name}"><div class="bar"><span class="language">${name}</span>${button("copy", "Copy", "Copy the code")}${button("insert", "Insert", "Insert the code at the cursor")}${button("apply", "Apply", "Show what the code would change, then decide")}</div><pre tabindex="0"><code>${body}</code></pre></section>`;
}

export function render(text: string): string {
  return markdown.render(text);
}

/** The text in blocks: what follows one never changes how it is rendered. */
export function blocks(text: string): string[] {
  const starts: number[] = [];
  for (const token of markdown.parse(text, {})) {
    if (token.level === 0 && token.map && token.nesting >= 0) starts.push(token.map[0]);
  }
  const lines = text.split("\n");
  if (starts.length === 0) return text.trim() ? [text] : [];
  starts[0] = 0;
  return starts.map((start, n) => {
    const end = starts[n + 1];
    const part = lines.slice(start, end).join("\n");
    return end === undefined ? part : `${part}\n`;
  });
}
