// What the pages cannot do without script: times in the reader's zone, moves by keyboard, and what is new.
"use strict";

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const short = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

function tellTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.textContent = short.format(at);
      time.title = exact.format(at);
    }
  }
}

function move(step) {
  const rows = [...document.querySelectorAll("a.row")];
  const next = rows[rows.indexOf(document.activeElement) + step] ?? (step > 0 ? rows[0] : rows.at(-1));
  next?.focus();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "j") move(1);
  if (event.key === "k") move(-1);
  if (event.key === "/") {
    event.preventDefault();
    document.querySelector("input[type=search]")?.focus();
  }
});

// What has changed meanwhile is fetched anew (following.js): part by part, so that nothing that is written, open or focused is
// lost: a part in which something is written stays as it is.
const trusted = window.trustedTypes?.createPolicy("desk", { createHTML: (page) => page }) ?? { createHTML: (page) => page };

function replace(part, fresh) {
  const open = new Set([...part.querySelectorAll("details[open]")].map((each) => each.id));
  tellTimes(fresh);
  for (const each of fresh.querySelectorAll("details")) each.open = open.has(each.id);
  for (const each of fresh.querySelectorAll("[data-from]")) {
    const fetched = document.querySelector(`#${CSS.escape(each.id)} [data-here]`);
    if (fetched) each.querySelector("[data-here]").replaceChildren(...fetched.childNodes);
  }
  part.replaceChildren(...fresh.childNodes);
}

const parse = (text) => new DOMParser().parseFromString(trusted.createHTML(text), "text/html");

// A fold that says where its content is gets it from that page when it is opened, and what is marked so gets it at once; without
// script, and if that fails, a link in it leads there.
async function fill(place, headers = {}) {
  const here = place.querySelector("[data-here]");
  place.ariaBusy = "true";
  const reply = await fetch(place.dataset.from, { headers }).catch(() => null);
  const fresh = reply && !reply.redirected && parse(await reply.text()).querySelector("[data-fragment]");
  if (fresh && !here.contains(document.activeElement)) replace(here, fresh);
  place.ariaBusy = null;
}

document.addEventListener("toggle", ({ target }) => {
  if (target.open && target.dataset.from) fill(target);
}, true);
for (const place of document.querySelectorAll("[data-at-once]")) fill(place, { "x-refresh": "1" });

const told = new Map([...document.querySelectorAll("[data-part]")].map((part) => [part.id, part.innerHTML]));
tellTimes(document);

// What is written in one form of a page stays there when another one is sent.
const drafts = `drafts of ${location.pathname}`;
if (location.pathname === "/login") sessionStorage.clear(); // the next one to sign in may be somebody else

for (const [form, name, text, before] of JSON.parse(sessionStorage.getItem(drafts) ?? "[]")) {
  const box = document.getElementById(form)?.elements.namedItem(name);
  if (box?.value === "" || box?.value === before) box.value = text;
}
sessionStorage.removeItem(drafts);

document.addEventListener("submit", ({ target: sent }) => {
  if (new URL(sent.action).pathname !== location.pathname) return;
  const boxes = [...document.querySelectorAll("form[id] :is(textarea, input:not([type]))")];
  const others = boxes.filter((box) => box.form !== sent && (box.value || box.defaultValue));
  sessionStorage.setItem(drafts, JSON.stringify(others.map((box) => [box.form.id, box.name, box.value, box.defaultValue])));
});
