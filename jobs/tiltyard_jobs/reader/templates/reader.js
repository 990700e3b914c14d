// Keys, a box that narrows a page of a list down, and a page that looks again. The pages work without it.
"use strict";

const links = () => [...document.querySelectorAll(".battles > li:not([hidden]) > a")];

function move(by) {
  const rows = links();
  if (!rows.length) {
    document.querySelector(by > 0 ? "a[rel=next]" : "a[rel=prev]")?.click();
    return;
  }
  const at = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))].focus();
}

function fold(selector) {
  const all = [...document.querySelectorAll(selector)];
  const open = !all.every((one) => one.open);
  for (const one of all) one.open = open;
}

function showKeys() {
  fold("#keys");
  const shown = document.querySelector("#keys[open]");  // at the end of the page
  shown?.querySelector("summary").focus();
  shown?.scrollIntoView({block: "nearest"});
}

const keys = {
  j: () => move(1),
  k: () => move(-1),
  u: () => document.querySelector("a[rel=up]")?.click(),
  "/": () => document.querySelector("input[type=search]")?.focus(),
  t: () => fold("details.thought"),
  w: () => fold("details.written"),
  d: () => document.querySelector("#difference") ? fold("#difference") : document.querySelector("#difference-link")?.click(),
  l: () => document.querySelector("header nav a[href='/live']")?.click(),
  p: () => { paused = !paused; look(); },
  "?": showKeys,
};

// A run in progress is looked at again: what has changed replaces what was there, so that nothing else moves.
let paused = false;
let timer = 0;
const main = document.querySelector("main");

function replaceChanged(old, fresh) {
  for (const [at, one] of [...fresh.children].entries()) {
    const before = old.children[at];
    if (!before) old.append(one.cloneNode(true));
    else if (!before.isEqualNode(one)) before.replaceWith(one.cloneNode(true));
  }
  while (old.children.length > fresh.children.length) old.lastElementChild.remove();
}

async function look() {
  clearTimeout(timer);
  if (!main?.dataset.refresh || paused) return;
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, {cache: "no-store"});
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.querySelector("main");
        replaceChanged(main, fresh);
        main.dataset.refresh = fresh.dataset.refresh ?? "";
        document.title = page.title;
      }
    } catch { /* the reader has ended, or is busy: it is asked again */ }
  }
  if (main.dataset.refresh) timer = setTimeout(look, 1000 * Number(main.dataset.refresh));
}

if (main?.dataset.refresh) {
  timer = setTimeout(look, 1000 * Number(main.dataset.refresh));
  document.addEventListener("visibilitychange", look);
}

document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof Element && event.target.matches("input, select, textarea");
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const button = [...document.querySelectorAll("button[data-key]")].find((one) => one.dataset.key === event.key.toLowerCase());
  if (button) {
    event.preventDefault();
    if (!event.repeat) button.click();
    return;
  }
  if (!Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
});

// Static pages have no form: the box searches what the page shows.
const list = document.querySelector(".battles");
if (list && !document.querySelector("form.filters")) {
  const box = document.createElement("input");
  box.type = "search";
  box.placeholder = "search this page";
  box.setAttribute("aria-label", box.placeholder);
  box.addEventListener("input", () => {
    const wanted = box.value.toLowerCase();
    for (const row of list.children) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  list.before(box);
}
