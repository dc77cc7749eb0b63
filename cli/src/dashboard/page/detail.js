// One group in depth, or what moved last in all of them.

import { attr, byId, el, keyed, text } from "./dom.js";
import { WINDOWS, drawAxis, drawLane, drawStrip, makeAxis, makeLane, makeStrip, scaleOf } from "./lanes.js";
import { leads, moves, needsAttention, nowMs, readyOf, seenMs, state } from "./state.js";
import { clock, phase, span, took, why } from "./text.js";

const LATEST_MAX = 12;
const FRESH_MS = 30000;

let view = null;
// Which time is shown; null: what fits the group.
let length = sessionStorage.getItem("window");

// --- A group --------------------------------------------------------------------------------

function fact(title) {
  const [value, more] = [el("span", {}), el("small", {})];
  return { node: el("div", { class: "fact" }, el("dt", {}, title), el("dd", {}, value, more)), value, more };
}

function makeWindows() {
  const choices = WINDOWS.map(([id, name]) => {
    const input = el("input", { type: "radio", name: "window", value: id });
    input.addEventListener("change", () => {
      length = id;
      sessionStorage.setItem("window", id);
      tickDetail();
    });
    return el("label", {}, input, el("span", {}, name));
  });
  return el("fieldset", { class: "segments small" }, el("legend", { class: "unseen" }, "Time that is shown"), ...choices);
}

// The shortest time that has the last move in it, up to an hour, or all of a young group's; chosen anew
// when there is another.
function fit(v, group) {
  const last = moves(group)[0];
  if (length === null && v.fitted !== (last?.term ?? 0)) {
    v.fitted = last?.term ?? 0;
    const age = last ? nowMs() - Date.parse(last.at) : Infinity;
    const born = Math.min(...group.tracks.map((track) => track.spans[0]?.[0] ?? Infinity));
    const [shortest, , shortestMs] = WINDOWS[0];
    if (nowMs() - born < shortestMs) v.fit = WINDOWS.at(-1)[0];
    else v.fit = age < shortestMs * 0.8 ? shortest : WINDOWS[1][0];
  }
  const shown = length ?? v.fit;
  const input = v.windows.querySelector(`input[value="${shown}"]`);
  if (input && !input.checked) input.checked = true;
  return (WINDOWS.find(([id]) => id === shown) ?? WINDOWS[1])[2];
}

function makeView(actions) {
  const v = { kind: "group", id: null, pods: new Map(), services: new Map(), moves: new Map(), warnings: new Map() };
  v.title = el("h2", { tabindex: "-1" });
  v.chip = el("span", { class: "chip" }, "paused");
  v.sub = el("p", { class: "dim" });
  v.switchover = el("button", { class: "main", onclick: () => actions.switchover(v.id, null) }, "Switch over…");
  v.pause = el("button", { class: "quiet", onclick: () => actions.pause(v.id) });
  v.outcome = el("p", { class: "outcome", role: "status", hidden: true });
  v.active = fact("Active");
  v.since = fact("For");
  v.term = fact("Term");
  v.ready = fact("Pods ready");
  v.lease = fact("Lease left");
  v.bar = el("meter", { min: "0", max: "1", "aria-hidden": "true" });
  v.lease.more.replaceWith(v.bar);
  v.last = fact("Last move");
  v.facts = el("dl", { class: "facts" }, ...[v.active, v.since, v.term, v.ready, v.lease, v.last].map((it) => it.node));
  v.doubts = el("ul", { class: "warnings" });
  v.windows = makeWindows();
  v.strip = makeStrip();
  v.axis = makeAxis();
  v.lanes = el("div", { class: "lanes" });
  v.list = el("ul", { class: "services" });
  v.table = el("tbody", {});
  const head = el("tr", {}, ...["When", "Active", "Why", "Took", "Term"].map((it) => el("th", { scope: "col" }, it)));
  v.back = el("a", { class: "back", href: "#/" }, "← All groups");
  v.servicesPart = el("section", { class: "part" }, el("h3", {}, "Services"), v.list);
  v.movesPart = el("section", { class: "part" }, el("h3", {}, "Moves"),
    el("div", { class: "wide" }, el("table", { class: "moves" }, el("thead", {}, head), v.table)));
  const key = ["active", "standby", "unready", "draining", "unwatched"].map((name) =>
    el("span", {}, el("i", { class: "piece", "data-phase": name }), name === "unwatched" ? "before this page" : phase(name)));
  v.nodes = [
    v.back,
    el("header", { class: "title" }, el("div", {}, el("div", { class: "name" }, v.title, v.chip), v.sub), el("div", { class: "buttons" }, v.pause, v.switchover)),
    v.outcome, v.facts, v.doubts,
    el("section", { class: "part" },
      el("header", { class: "part-head" }, el("h3", {}, "Pods"), v.windows),
      el("div", { class: "timeline" }, el("div", { class: "lead" }, el("span", { class: "lead-name" }, "moves"), v.strip.node), v.lanes, el("div", { class: "lead" }, el("span", { class: "lead-name" }), v.axis.node)),
      el("p", { class: "legend", "aria-hidden": "true" }, ...key)),
    v.servicesPart, v.movesPart,
  ];
  v.actions = actions;
  return v;
}

function showGroup(v, group) {
  const led = leads(group);
  text(v.title, group.group);
  v.chip.hidden = !group.paused;
  text(v.sub, [`namespace ${group.namespace}`, group.owner?.replace("/", " ")].filter(Boolean).join(" · "));
  v.switchover.disabled = !led || group.paused || group.switchover !== null;
  attr(v.switchover, "title", !led ? "nobody is active who could be asked" : group.paused ? "resume it first" : group.switchover ? "a switchover is under way" : null);
  text(v.switchover, group.switchover ? "Moving…" : "Switch over…");
  v.pause.disabled = group.term === null;
  text(v.pause, group.paused ? "Resume…" : "Pause…");
  text(v.active.value, led ? group.active : "nobody");
  const node = group.pods.find((pod) => pod.pod === group.active)?.node;
  text(v.active.more, led && node ? `on ${node}` : "");
  attr(v.active.node, "data-state", led ? "active" : "bad");
  text(v.term.value, group.term === null ? "–" : String(group.term));
  text(v.ready.value, `${readyOf(group)} of ${group.pods.length}`);
  const last = moves(group)[0];
  const length = last?.duration_ms === undefined ? "" : took(last.duration_ms);
  text(v.last.value, length || (last ? why(last.kind) : "–"));
  text(v.last.more, length ? why(last.kind) : "");
  v.lease.node.hidden = !group.sees_leases;
  const doubts = group.warnings.filter((it) => it.code !== "SwitchoverPending");
  v.doubts.hidden = doubts.length === 0;
  keyed(v.doubts, v.warnings, doubts.map((it, index) => ({ ...it, id: `${it.code}${index}` })), (it) => it.id,
    () => {
      const told = el("span", {});
      return { node: el("li", {}, told), told };
    },
    (part, doubt) => {
      attr(part.node, "data-code", doubt.code);
      text(part.told, doubt.text.charAt(0).toUpperCase() + doubt.text.slice(1).replaceAll("`", ""));
    });
  showPods(v, group);
  showServices(v, group);
  showMoves(v, group);
}

function makePod(v) {
  const part = {
    mark: el("span", { class: "mark", "aria-hidden": "true" }),
    name: el("span", { class: "pod-name" }),
    what: el("span", { class: "pod-what" }),
    lane: makeLane(),
    button: el("button", { class: "small-button" }, "Make active"),
  };
  part.button.addEventListener("click", () => v.actions.switchover(v.id, part.pod));
  const head = el("div", { class: "pod" }, part.mark, part.name, part.what);
  part.node = el("div", { class: "lane-row" }, head, part.lane.node, el("div", { class: "pod-do" }, part.button));
  return part;
}

function showPods(v, group) {
  const byName = new Map(group.tracks.map((track) => [track.pod, track]));
  const there = group.pods.map((pod) => ({ name: pod.pod, pod, track: byName.get(pod.pod) }));
  const names = new Set(there.map((it) => it.name));
  const ended = (track) => track.spans.at(-1)?.[0] ?? 0;
  const before = group.tracks.filter((track) => !names.has(track.pod)).sort((a, b) => ended(b) - ended(a));
  // The same order whoever is active: what moves is the colour.
  there.sort((a, b) => (a.name < b.name ? -1 : 1));
  v.rows = [...there, ...before.map((track) => ({ name: track.pod, pod: null, track }))];
  drawPods(v, group);
}

function drawPods(v, group) {
  const scale = v.scale ?? scaleOf(group, fit(v, group));
  const rows = v.rows.filter((row) => row.pod || (row.track.spans.at(-1)?.[0] ?? 0) > scale.from);
  keyed(v.lanes, v.pods, rows, (row) => row.name, () => makePod(v), (part, row) => {
    const { name, pod, track } = row;
    part.pod = name;
    const now = pod?.phase ?? (group.sees_leases && name === group.active ? "active" : "gone");
    attr(part.mark, "data-phase", now);
    attr(part.node, "data-phase", now);
    text(part.name, name);
    attr(part.name, "title", name);
    const reason = pod?.reason && !["active", "standby"].includes(now) ? pod.reason.replace(/^its sidecar/, "sidecar") : null;
    const words = now === "active" && group.leaderless ? "labelled active" : now === "unready" && reason ? reason.replace(/^its /, "") : phase(now);
    const extra = now === "standby" && pod.reason ? pod.reason : null;
    text(part.what, [words, extra, pod?.node].filter(Boolean).join(" · "));
    const can = pod && pod.eligible && name !== group.active && leads(group) && !group.paused && !group.switchover;
    part.button.hidden = !can;
    attr(part.button, "aria-label", `Make ${name} active`);
    if (track) drawLane(part.lane, group, track, scale);
  });
}

const ROUTES = { untouched: "has no selector", selector: "every pod it selects", nobody: "nobody" };

function showServices(v, group) {
  v.servicesPart.hidden = group.services.length === 0;
  keyed(v.list, v.services, group.services, (it) => it.service,
    () => {
      const part = { name: el("b", {}), to: el("span", { class: "mono" }), address: el("span", { class: "dim" }) };
      part.node = el("li", {}, part.name, el("span", { class: "arrow", "aria-label": "sends traffic to" }, "→"), part.to, part.address);
      return part;
    },
    (part, service) => {
      text(part.name, service.service);
      text(part.to, service.routes_to ?? ROUTES[service.routing]);
      attr(part.node, "data-bad", group.active && service.routes_to !== group.active && service.routing !== "untouched" ? "" : null);
      text(part.address, service.address ?? "headless");
    });
}

function showMoves(v, group) {
  const all = moves(group);
  v.movesPart.hidden = all.length === 0;
  keyed(v.table, v.moves, all, (move) => move.term,
    () => {
      const cells = ["when", "who", "why", "took", "number"].map((name) => el("td", { class: name }));
      return { node: el("tr", {}, ...cells), cells };
    },
    (part, move) => {
      const [when, who, kind, length, term] = part.cells;
      part.at = Date.parse(move.at);
      attr(when, "title", clock(part.at, true));
      text(who, move.pod);
      text(kind, why(move.kind));
      text(length, move.duration_ms === undefined ? (move.settling ? "…" : "") : took(move.duration_ms));
      attr(length, "data-slow", move.duration_ms >= 5000 ? "" : null);
      text(term, String(move.term));
    });
}

function tickGroup(v, group) {
  const now = seenMs();
  const since = leads(group) && group.since ? (now - Date.parse(group.since)) / 1000 : null;
  text(v.since.value, since === null ? "–" : span(since));
  text(v.since.more, since === null ? "" : since > 72000 ? clock(Date.parse(group.since), true).slice(5, 16) : clock(Date.parse(group.since)));
  const renewed = state.renewed.get(group.id);
  const of = group.lease_duration_s;
  const left = renewed && of ? Math.max(0, of - (now - renewed) / 1000) : null;
  text(v.lease.value, left === null || !leads(group) ? "–" : `${span(Math.ceil(left))} of ${span(of)}`);
  v.bar.hidden = left === null || !leads(group);
  v.bar.value = left === null ? 0 : left / of;
  v.scale = scaleOf(group, fit(v, group));
  drawPods(v, group);
  const last = moves(group)[0];
  const fresh = last && now - Date.parse(last.at) < FRESH_MS ? last.term : null;
  drawStrip(v.strip, group, v.scale, fresh);
  drawAxis(v.axis, v.scale);
  for (const [term, part] of v.moves) {
    text(part.cells[0], `${span((now - part.at) / 1000)} ago`);
    attr(part.node, "data-fresh", term === fresh ? "" : null);
  }
}

// --- All groups -----------------------------------------------------------------------------

function makeSummary() {
  const v = { kind: "summary", rows: new Map() };
  v.numbers = ["groups", "with an active pod", "to look at", "paused"].map((title) => {
    const [number, label] = [el("b", {}), el("span", {}, title)];
    return { node: el("div", { class: "number" }, number, label), number, label };
  });
  v.list = el("ol", { class: "latest" });
  v.none = el("p", { class: "dim" }, "No role has moved yet.");
  v.nodes = [
    el("div", { class: "numbers" }, ...v.numbers.map((it) => it.node)),
    el("section", { class: "part" }, el("h3", {}, "Latest moves"), v.none, v.list),
  ];
  return v;
}

function showSummary(v) {
  const groups = [...state.groups.values()];
  const counts = [groups.length, groups.filter(leads).length, groups.filter(needsAttention).length, groups.filter((it) => it.paused).length];
  counts.forEach((count, index) => text(v.numbers[index].number, String(count)));
  text(v.numbers[0].label, counts[0] === 1 ? "group" : "groups");
  attr(v.numbers[2].node, "data-state", counts[2] ? "bad" : null);
  const all = groups.flatMap((group) => moves(group).slice(0, LATEST_MAX).map((move) => ({ group, move, at: Date.parse(move.at), id: `${group.id} ${move.term}` })));
  const latest = all.filter((it) => it.move.kind !== "first").sort((a, b) => b.at - a.at).slice(0, LATEST_MAX);
  v.none.hidden = latest.length > 0;
  keyed(v.list, v.rows, latest, (it) => it.id,
    () => {
      const part = { name: el("b", {}), pod: el("span", { class: "mono" }), why: el("span", { class: "dim" }), took: el("span", { class: "took-cell" }), ago: el("span", { class: "dim ago" }) };
      part.link = el("a", {}, part.name, part.took, part.pod, part.why, part.ago);
      part.node = el("li", {}, part.link);
      return part;
    },
    (part, { group, move, at }) => {
      part.at = at;
      attr(part.link, "href", `#/${group.namespace}/${group.group}`);
      text(part.name, state.namespace === null ? group.id : group.group);
      text(part.pod, `→ ${move.pod}`);
      text(part.why, why(move.kind));
      text(part.took, move.duration_ms === undefined ? "" : took(move.duration_ms));
    });
}

function tickSummary(v) {
  const now = seenMs();
  for (const part of v.rows.values()) {
    text(part.ago, `${span((now - part.at) / 1000)} ago`);
    attr(part.node, "data-fresh", now - part.at < FRESH_MS ? "" : null);
  }
}

// --- Either ---------------------------------------------------------------------------------

// Shows the chosen group; without one, all. `actions` is what its buttons do.
export function showDetail(id, actions) {
  const group = id && state.groups.get(id);
  const kind = group ? "group" : "summary";
  if (view?.kind !== kind || view.id !== (group ? id : undefined)) {
    view = group ? makeView(actions) : makeSummary();
    if (group) view.id = id;
    byId("detail").replaceChildren(...view.nodes);
  }
  if (group) showGroup(view, group);
  else showSummary(view);
  tickDetail();
}

export function tickDetail() {
  if (!view) return;
  if (view.kind === "summary") return tickSummary(view);
  const group = state.groups.get(view.id);
  if (group) tickGroup(view, group);
}

// What became of a request.
export function tellOutcome(id, told, good) {
  if (view?.id !== id) return;
  view.outcome.hidden = false;
  attr(view.outcome, "data-good", good ? "" : null);
  text(view.outcome, told.replace(/^group /, "Group ").replaceAll("`", ""));
}

export function focusTitle() {
  view?.title?.focus();
}
