// The groups, a row each.

import { attr, byId, el, keyed, text } from "./dom.js";
import { leads, matches, moves, needsAttention, readyOf, seenMs, state, worries } from "./state.js";
import { span, took } from "./text.js";

// How long a move stays marked.
const FRESH_MS = 30000;

const names = new Intl.Collator("en", { numeric: true });
const rows = new Map();
let shown = [];

export function stateOf(group) {
  if (!group.sees_leases) return group.active ? "active" : "unknown";
  if (!leads(group)) return "leaderless";
  return worries(group).length ? "worry" : "active";
}

const STATES = { active: "", worry: "look at its warnings", leaderless: "nobody is active", unknown: "cannot be seen" };

function make() {
  const part = {
    mark: el("span", { class: "mark", "aria-hidden": "true" }),
    name: el("span", { class: "row-name" }),
    place: el("span", { class: "row-place" }),
    paused: el("span", { class: "chip" }, "paused"),
    pod: el("span", { class: "row-pod" }),
    since: el("span", { class: "row-since" }),
    ready: el("span", { class: "row-ready" }),
    state: el("span", { class: "unseen" }),
  };
  const title = el("span", { class: "row-title" }, part.name, part.place, part.paused);
  part.link = el("a", { class: "row" }, part.mark, title, part.since, part.pod, part.ready, part.state);
  part.node = el("li", {}, part.link);
  return part;
}

function change(part, group) {
  attr(part.link, "href", `#/${group.namespace}/${group.group}`);
  text(part.name, group.group);
  text(part.place, state.namespace === null ? group.namespace : "");
  part.paused.hidden = !group.paused;
  const kind = stateOf(group);
  attr(part.mark, "data-state", kind);
  attr(part.link, "data-state", kind);
  text(part.state, STATES[kind]);
  text(part.pod, leads(group) ? group.active : kind === "unknown" ? "not to be seen" : "nobody is active");
  tickRow(part, group);
}

function tickRow(part, group) {
  const now = seenMs();
  const since = leads(group) && group.since ? Date.parse(group.since) : null;
  text(part.since, since === null ? "" : span((now - since) / 1000));
  const last = moves(group)[0];
  const fresh = last && group.history.length > 1 && now - Date.parse(last.at) < FRESH_MS;
  const length = last?.duration_ms === undefined ? "moved" : `moved in ${took(last.duration_ms)}`;
  text(part.ready, fresh ? length : `${readyOf(group)}/${group.pods.length} ready`);
  attr(part.link, "data-fresh", fresh ? "" : null);
}

// Which groups the search and the filter leave.
function wanted() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const filter = document.querySelector("input[name=filter]:checked").value;
  const fits = (group) =>
    (filter === "all" || (filter === "paused" ? group.paused : needsAttention(group))) && matches(group, words);
  const groups = [...state.groups.values()].filter(fits);
  // Where nobody is active comes first; web-2 comes before web-10.
  return groups.sort((a, b) => leads(a) - leads(b) || names.compare(a.id, b.id));
}

export function showList(chosen) {
  const all = [...state.groups.values()];
  text(byId("count-all"), String(all.length));
  const worrying = all.filter(needsAttention).length;
  text(byId("count-attention"), String(worrying));
  attr(byId("count-attention"), "data-some", worrying ? "" : null);
  text(byId("count-paused"), String(all.filter((group) => group.paused).length));
  shown = wanted();
  keyed(byId("list"), rows, shown, (group) => group.id, make, change);
  markChosen(chosen);
  const nothing = byId("nothing");
  nothing.hidden = shown.length > 0;
  text(nothing, byId("search").value ? `Nothing matches “${byId("search").value}”.` : "None.");
}

export function showRows(ids) {
  for (const id of ids) {
    const [part, group] = [rows.get(id), state.groups.get(id)];
    if (part && group) change(part, group);
  }
}

export function markChosen(chosen) {
  for (const [id, part] of rows) attr(part.link, "aria-current", id === chosen ? "true" : null);
}

export function tickList() {
  for (const group of shown) {
    const [part, current] = [rows.get(group.id), state.groups.get(group.id)];
    if (part && current) tickRow(part, current);
  }
}

// Marks a row for a moment.
export function flash(id) {
  const part = rows.get(id);
  if (!part) return;
  part.link.classList.remove("moved");
  // The animation begins anew.
  void part.link.offsetWidth;
  part.link.classList.add("moved");
}

// The neighbour of a row: where the arrow keys go.
export function neighbour(id, step) {
  const index = shown.findIndex((group) => group.id === id);
  const next = index < 0 ? (step > 0 ? 0 : shown.length - 1) : index + step;
  return shown[Math.min(Math.max(next, 0), shown.length - 1)]?.id;
}

export function focusRow(id) {
  rows.get(id)?.link.focus();
}
