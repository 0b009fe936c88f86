// Bundles the extension and the page of the chat view into `dist`. `--watch` keeps at it.
import { context } from "esbuild";

const production = !process.argv.includes("--watch");
const common = {
  bundle: true,
  minify: production,
  sourcemap: production ? false : "linked",
  logLevel: "warning",
  legalComments: "none",
};
// CommonJS, because VS Code loads `vscode` by require.
const hosted = { platform: "node", format: "cjs", target: "node20", external: ["vscode", "./main.cjs", "./client.cjs"] };
const bundles = [
  { ...hosted, entryPoints: ["src/extension.ts"], outfile: "dist/extension.cjs" },
  { ...hosted, entryPoints: ["src/main.ts"], outfile: "dist/main.cjs" },
  { ...hosted, entryPoints: ["src/client.ts"], outfile: "dist/client.cjs" },
  { entryPoints: ["webview/main.ts"], outfile: "dist/chat.js", platform: "browser", format: "iife", target: "es2022" },
  { entryPoints: ["webview/chat.css"], outfile: "dist/chat.css" },
];
for (const bundle of bundles) {
  const built = await context({ ...common, ...bundle });
  if (production) {
    await built.rebuild();
    await built.dispose();
  } else {
    await built.watch();
  }
}
