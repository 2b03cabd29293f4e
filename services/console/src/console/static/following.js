// What changes is told by a stream of events that name it. Only what of this page it concerns is fetched anew: lists and parts as
// a whole, of a transcript what came after the last line here. While the stream is away, the page looks by itself, slowly.
"use strict";

const PACE_MS = 300;
const SLOW_MS = 15000;
const parts = [...document.querySelectorAll("[data-on]")];
const wanted = new Set();
let place = document.body.dataset.place;
let source = null;
let slowly = 0;
let isFetching = false;

const topicsOf = (part) => part.dataset.on.split(" ");
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function page(address) {
  const reply = await fetch(address, { headers: { "x-refresh": "1" } });
  if (reply.redirected) throw new Error("signed out");
  if (!reply.ok) throw new Error(reply.status);
  return parse(await reply.text());
}

// By what the same element is found again when its part was replaced.
function nameOf(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  if (element.matches("summary")) return `#${CSS.escape(element.parentElement.id)} > summary`;
  return element.matches("a[href]") ? `a[href="${CSS.escape(element.getAttribute("href"))}"]` : null;
}

// Neither the focus moves, nor what somebody reads: what it or the first line in sight is stays where it was.
function inItsPlace(part, change) {
  const held = part.contains(document.activeElement) ? document.activeElement : null;
  const inSight = scrollY > 0 && [...part.querySelectorAll("a.row, [id]")].find((each) => each.getBoundingClientRect().top >= 0);
  const fixed = held ?? (inSight || null);
  const [name, top] = [fixed && nameOf(fixed), fixed?.getBoundingClientRect().top];
  change();
  const again = name && part.querySelector(name);
  if (held && !again) part.tabIndex = -1;
  if (held) (again ?? part).focus({ preventScroll: true });
  if (!again) return;
  scrollBy(0, again.getBoundingClientRect().top - top);
}

function show(part, fresh) {
  if (!fresh || told.get(part.id) === fresh.innerHTML) return;
  told.set(part.id, fresh.innerHTML);
  inItsPlace(part, () => replace(part, fresh));
}

function isRead(part) {
  const chosen = getSelection();
  return !chosen.isCollapsed && part.contains(chosen.anchorNode);
}

const isWritten = (part) =>
  [...part.querySelectorAll("textarea, input:not([type])")].some((box) => box.value || box === document.activeElement);

const isInUse = (part) => isRead(part) || isWritten(part);

const lastOf = (lines) => Number(lines.querySelector(".line:last-child")?.id.slice(4) ?? 0);

// The lines that came after the last one here.
async function extend(part) {
  const last = lastOf(part);
  const fresh = await page(last ? `${location.pathname}?after=${last}` : location.href);
  if (!last) return show(part, fresh.getElementById(part.id));
  const lines = [...fresh.querySelectorAll(`#${part.id} .line`)].filter((each) => Number(each.id.slice(4)) > lastOf(part));
  for (const line of lines) {
    tellTimes(line);
    for (const each of line.querySelectorAll(":scope > details[id]")) {
      const unfolded = document.getElementById(each.id); // as it is: open, and with what it has fetched
      if (unfolded) each.replaceWith(unfolded);
    }
    part.querySelector(".lines").append(line);
  }
}

// Earlier lines come above what is read, which stays where it is; without script the link leads to a page of them.
async function bringEarlier(link) {
  const fresh = await page(link.href);
  const list = document.querySelector("#lines .lines");
  const first = list.firstElementChild;
  const top = first.getBoundingClientRect().top;
  const lines = [...fresh.querySelectorAll("#lines .line")];
  for (const line of lines) {
    tellTimes(line);
    for (const each of line.querySelectorAll(":scope > details[id]")) {
      if (document.getElementById(each.id)) each.remove(); // its run goes on below, and is unfolded there
    }
  }
  list.prepend(...lines);
  const more = fresh.querySelector("a[data-earlier]");
  if (more) link.setAttribute("href", more.getAttribute("href"));
  else {
    if (document.activeElement === link) document.getElementById("lines").focus({ preventScroll: true });
    link.parentElement.remove();
  }
  scrollBy(0, first.getBoundingClientRect().top - top);
}

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-earlier]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.ariaBusy) return;
  link.ariaBusy = "true";
  await bringEarlier(link).catch(() => location.assign(link.href));
  link.ariaBusy = null;
});

async function bring(some) {
  for (const part of some.filter((each) => "tail" in each.dataset)) await extend(part);
  const others = some.filter((each) => !("tail" in each.dataset));
  const fresh = others.every(isInUse) ? null : await page(location.href);
  for (const part of others) {
    if (isInUse(part)) setTimeout(() => want([part]), SLOW_MS);
    else show(part, fresh?.getElementById(part.id));
  }
}

async function want(some) {
  for (const part of some) wanted.add(part);
  if (isFetching) return;
  isFetching = true;
  while (wanted.size > 0 && !document.hidden) {
    const now = [...wanted];
    wanted.clear();
    await bring(now).catch(() => setTimeout(() => want(now), SLOW_MS));
    await pause(PACE_MS);
  }
  isFetching = false;
}

function changed({ kind, id, entries }) {
  const topics = id ? [kind, `${kind}:${id}`] : null;
  const concerned = parts.filter((part) => topicsOf(part).some((on) => (topics ? topics.includes(on) : on.split(":")[0] === kind)));
  want(concerned.filter((part) => !("tail" in part.dataset) || entries > lastOf(part)));
}

function look({ on, who }) {
  for (const each of document.querySelectorAll(`[data-looking="${CSS.escape(on)}"]`)) {
    each.textContent = who.length > 0 ? `Also here: ${who.join(", ")}` : "";
  }
}

function follow() {
  if (source || document.hidden) return;
  const topics = new Set(parts.flatMap(topicsOf));
  const asked = new URLSearchParams([...topics].map((topic) => ["on", topic]));
  asked.set("after", place);
  const opened = new EventSource(`/changes?${asked}`);
  source = opened;
  const listen = (event, act) =>
    opened.addEventListener(event, ({ data, lastEventId }) => {
      place = lastEventId || place;
      act(JSON.parse(data));
    });
  listen("change", changed);
  listen("all", () => want(parts));
  listen("looking", look);
  opened.onopen = () => {
    clearInterval(slowly);
    slowly = 0;
  };
  opened.onerror = () => {
    slowly ||= setInterval(() => want(parts), SLOW_MS);
    if (opened.readyState !== EventSource.CLOSED) return;
    leave(opened);
    setTimeout(follow, SLOW_MS);
  };
}

function leave(opened) {
  opened?.close();
  if (source === opened) source = null;
}

if (parts.length > 0) {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return leave(source);
    follow();
    want([]);
  });
  follow();
}
