/** What a text holds that nobody would see, or that turns the text around it: shown by its number. */

import { h } from "./dom";

const ODD =
  /[\0-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff9-\uffff\u{e0000}-\u{e0fff}]/gu;
const LINE_ENDS = /\r\n?|\u2028|\u2029/g;

const BEFORE_JOINER = /[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f]$|[^\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Common}]$/u;
const BESIDE_MARK = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;
const IDEOGRAPH = /\p{Script=Han}$/u;
const SYMBOL = /\p{Emoji}$/u;

/** Whether a character without a face has its use here: within an emoji, or in the scripts that need it. */
function belongs(character: string, before: string, after: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  if (code === 0x200c || code === 0x200d) return BEFORE_JOINER.test(before) && /^[^\s\p{Default_Ignorable_Code_Point}]/u.test(after);
  if (code === 0x200e || code === 0x200f) return BESIDE_MARK.test(before.slice(-1)) || BESIDE_MARK.test(after.slice(0, 1));
  if (code >= 0xe0100 && code <= 0xe01ef) return IDEOGRAPH.test(before);
  if (code === 0xfe0e) return SYMBOL.test(before);
  return false;
}

function named(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** The nodes of a text; what is odd in it stands out. */
export function shown(text: string): Node[] {
  const plain = text.replace(LINE_ENDS, "\n");
  const nodes: Node[] = [];
  let at = 0;
  for (const found of plain.matchAll(ODD)) {
    const before = plain.slice(Math.max(0, found.index - 2), found.index);
    const end = found.index + found[0].length;
    if (belongs(found[0], before, plain.slice(end, end + 2))) continue;
    if (found.index > at) nodes.push(document.createTextNode(plain.slice(at, found.index)));
    nodes.push(h("span", { class: "odd", dir: "ltr" }, named(found[0])));
    at = end;
  }
  if (at < plain.length) nodes.push(document.createTextNode(plain.slice(at)));
  return nodes;
}
