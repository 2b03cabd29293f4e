/**
 * A small safe part of Markdown: paragraphs, headings as bold lines, lists, code, bold, italic, and links to hosts that
 * are allowed. All else, HTML and images among it, is text as it stands.
 */

import { h, icon, put } from "./dom";
import { shown } from "./visible";

export interface Block {
  source: string;
  node(): HTMLElement;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*[\w+#.-]*\s*$/;
const HEADING = /^ {0,3}#{1,6}\s+(.*?)\s*#*$/;
const ITEM = /^( {0,8})([-*+]|\d{1,6}[.)])\s+(.*)$/;
const MOST_NESTED = 5;

/** The blocks of a text, in order: one that did not change keeps its `source`. */
export function blocks(text: string, hosts: readonly string[], depth = 0): Block[] {
  const lines = text.replace(/\r\n?|\u2028|\u2029/g, "\n").split("\n");
  const found: Block[] = [];
  let at = 0;
  const take = (end: number, node: () => HTMLElement): void => {
    found.push({ source: lines.slice(at, end).join("\n"), node });
    at = end;
  };
  while (at < lines.length) {
    const line = lines[at] ?? "";
    const fence = FENCE.exec(line)?.[1];
    const heading = HEADING.exec(line)?.[1];
    if (!line.trim()) at++;
    else if (fence) {
      const from = at + 1;
      const end = endOf(lines, from, (each) => each.trim() === fence);
      take(Math.min(end + 1, lines.length), () => h("pre", { tabindex: 0 }, h("code", {}, ...shown(lines.slice(from, end).join("\n")))));
    } else if (heading) take(at + 1, () => h("p", { class: "heading", dir: "auto" }, ...inline(heading, hosts)));
    else if (ITEM.test(line) && depth < MOST_NESTED) {
      const items = lines.slice(at, endOf(lines, at, (each, index) => endsList(lines, each, index)));
      take(at + items.length, () => list(items, hosts, depth));
    } else {
      const end = endOf(lines, at + 1, (each) => !each.trim() || FENCE.test(each) || HEADING.test(each) || ITEM.test(each));
      const paragraph = lines.slice(at, end).join("\n");
      take(end, () => h("p", { dir: "auto" }, ...inline(paragraph, hosts)));
    }
  }
  return found;
}

function endOf(lines: string[], from: number, ends: (line: string, index: number) => boolean): number {
  let at = from;
  while (at < lines.length && !ends(lines[at] ?? "", at)) at++;
  return at;
}

function endsList(lines: string[], line: string, index: number): boolean {
  if (line.trim()) return false === (ITEM.test(line) || /^\s/.test(line) || Boolean(lines[index - 1]?.trim()));
  const next = lines[index + 1] ?? "";
  return !ITEM.test(next) && !/^\s+\S/.test(next);
}

function list(lines: string[], hosts: readonly string[], depth: number): HTMLElement {
  const first = ITEM.exec(lines[0] ?? "");
  const indent = first?.[1]?.length ?? 0;
  const number = Number.parseInt(first?.[2] ?? "", 10);
  const items: string[][] = [];
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item && (item[1]?.length ?? 0) <= indent + 1) items.push([item[3] ?? ""]);
    else items.at(-1)?.push(line.replace(/^ {1,4}/, ""));
  }
  const element = Number.isNaN(number) ? h("ul") : h("ol", { start: number });
  for (const item of items) {
    const inner = blocks(item.join("\n"), hosts, depth + 1).map((block) => block.node());
    put(element, h("li", { dir: "auto" }, ...inner));
  }
  return element;
}

const INLINE = new RegExp(
  [
    /\\(?<escaped>[\\`*_{}[\]()#+\-.!<>~|])/,
    /(?<ticks>`{1,3})(?<code>[^\n]{1,2000}?)\k<ticks>(?!`)/,
    /(?<image>!\[[^\]\n]{0,500}\]\([^()\n]{0,2000}\))/,
    /\[(?<label>[^[\]\n]{1,500})\]\((?<to>[^()\s]{1,2000}(?:\([^()\s]{0,200}\)[^()\s]{0,200})?)\)/,
    /(?<url>https?:\/\/[^\s<>"'`\\]{1,2000})/,
    /\*\*(?=\S)(?<strong>[^\n]{0,2000}?[^\s*])\*\*(?!\*)/,
    /(?<![\p{L}\p{N}_])__(?=\S)(?<strong2>[^\n]{0,2000}?\S)__(?![\p{L}\p{N}_])/u,
    /\*(?=[^\s*])(?<em>[^\n*]{0,2000}?[^\s*])\*/,
    /(?<![\p{L}\p{N}_])_(?=[^\s_])(?<em2>[^\n_]{0,2000}?[^\s_])_(?![\p{L}\p{N}_])/u,
  ]
    .map((each) => each.source)
    .join("|"),
  "gu",
);

function inline(text: string, hosts: readonly string[], depth = 0): Node[] {
  if (depth > MOST_NESTED) return lines(text);
  const nodes: Node[] = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(...lines(text.slice(at, found.index)));
    at = found.index + found[0].length;
    nodes.push(...marked(found[0], found.groups ?? {}, hosts, depth));
  }
  nodes.push(...lines(text.slice(at)));
  return nodes;
}

function marked(whole: string, is: Record<string, string | undefined>, hosts: readonly string[], depth: number): Node[] {
  const strong = is["strong"] ?? is["strong2"];
  const em = is["em"] ?? is["em2"];
  if (is["escaped"]) return shown(is["escaped"]);
  if (is["code"]) return [h("code", {}, ...shown(is["code"].trim() || is["code"]))];
  if (strong) return [h("strong", {}, ...inline(strong, hosts, depth + 1))];
  if (em) return [h("em", {}, ...inline(em, hosts, depth + 1))];
  if (is["url"]) return address(is["url"], hosts);
  if (is["label"] && is["to"]) {
    const target = allowed(is["to"], hosts);
    if (target) return [link(target, is["label"])];
  }
  return shown(whole);
}

/** An address as it stands in a text, without the full stop of its sentence. */
function address(found: string, hosts: readonly string[]): Node[] {
  const url = found.replace(/[.,;:!?)\]*_]+$/, "");
  const target = allowed(url, hosts);
  return target ? [link(target, url), ...shown(found.slice(url.length))] : shown(found);
}

/** The address if it is one of an allowed host: `example.com`, `*.example.com` or `example.com:8443`. */
export function allowed(told: string, hosts: readonly string[]): URL | null {
  const url = URL.canParse(told) ? new URL(told) : null;
  if (!url || url.username || url.password || !/^https?:\/\//i.test(told)) return null;
  const local = /^(localhost|127\.0\.0\.1)$/.test(url.hostname);
  if (url.protocol !== "https:" && !local) return null;
  const match = (host: string): boolean =>
    host.startsWith("*.") ? url.host.endsWith(host.slice(1)) : host === url.host;
  return hosts.some(match) ? url : null;
}

/** It says where it leads, whatever its words say. */
function link(url: URL, label: string): HTMLElement {
  const says = label.includes(url.host) ? null : h("span", { class: "host" }, ` (${url.host})`);
  const attributes = { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow", class: "away" };
  return h("a", attributes, h("bdi", {}, ...shown(label)), says, icon("away"), h("span", { class: "hidden" }, " (opens in a new tab)"));
}

function lines(text: string): Node[] {
  return text.split("\n").flatMap((line, index) => (index ? [h("br"), ...shown(line)] : shown(line)));
}
