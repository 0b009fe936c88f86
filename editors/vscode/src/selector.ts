/** Where ghost texts and actions are offered. */
export const SELECTOR = [{ scheme: "file" }, { scheme: "untitled" }];
