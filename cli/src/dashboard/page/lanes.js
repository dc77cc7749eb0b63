// Who was what when: a lane a pod, all on one scale.

import { el, keyed, text } from "./dom.js";
import { moves, nowMs, seenMs, state } from "./state.js";
import { clock, isActive, phase, span, took, why } from "./text.js";

const MINUTE = 60000;
// The shortest time that lanes show: of a group that has just begun.
const SHORTEST = 20000;
const STEPS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];
// Between two labels, pixels.
const LABEL_GAP = 62;

export const WINDOWS = [
  ["5m", "5 min", 5 * MINUTE],
  ["1h", "1 hour", 60 * MINUTE],
  ["1d", "1 day", 1440 * MINUTE],
  ["all", "All", null],
];

// The piece of time that is shown.
export function scaleOf(group, length) {
  const to = nowMs();
  const first = Math.min(...group.tracks.map((track) => track.spans[0]?.[0] ?? to), to - SHORTEST);
  const from = length === null ? first - (to - first) * 0.02 : to - length;
  return { from, to, part: (ms) => Math.min(Math.max((ms - from) / (to - from), 0), 1) };
}

function place(node, scale, from, to) {
  node.style.left = `${(scale.part(from) * 100).toFixed(3)}%`;
  node.style.width = `${((scale.part(to) - scale.part(from)) * 100).toFixed(3)}%`;
}

export function makeLane() {
  return { node: el("div", { class: "lane", "aria-hidden": "true" }), parts: new Map() };
}

export function drawLane(lane, group, track, scale) {
  const pieces = [];
  const end = seenMs();
  track.spans.forEach(([from, name], index) => {
    const to = track.spans[index + 1]?.[0] ?? Math.max(end, from);
    if (name === "gone" || to < scale.from) return;
    const told = `${phase(name)} for ${span((to - from) / 1000)}, from ${clock(from, true)}`;
    pieces.push({ id: `${from}${name}`, name, from, to, told, last: index === track.spans.length - 1 });
  });
  for (const [from, to] of state.contact.outages) pieces.push({ id: `o${from}`, name: "outage", from, to, told: "no contact to the API server" });
  if (end < scale.to - 1000) pieces.push({ id: "now", name: "outage", from: end, to: scale.to, told: "no contact to the API server" });
  for (const move of group.history) {
    const at = Date.parse(move.at);
    if (at > scale.from) pieces.push({ id: `m${move.term}`, name: "move", from: at, to: at, told: "" });
  }
  const make = (piece) => ({ node: el("div", { class: "piece", "data-phase": piece.name }) });
  keyed(lane.node, lane.parts, pieces.filter((it) => it.to >= scale.from), (it) => it.id, make, (part, piece) => {
    place(part.node, scale, piece.from, piece.to);
    if (piece.told && part.node.title !== piece.told) part.node.title = piece.told;
    part.node.classList.toggle("goes-on", Boolean(piece.last) && isActive(piece.name));
  });
}

export function makeStrip() {
  return { node: el("div", { class: "strip", "aria-hidden": "true" }), parts: new Map() };
}

// How long each move took; the newest ones have their label, where there is room.
export function drawStrip(strip, group, scale, freshTerm) {
  const width = strip.node.clientWidth || 600;
  const marks = [];
  let room = width + LABEL_GAP;
  for (const move of moves(group)) {
    const at = Date.parse(move.at);
    if (at < scale.from) continue;
    const x = scale.part(at) * width;
    const labelled = room - x >= LABEL_GAP;
    // Under a label there is no room for a dot.
    if (!labelled && room - x < LABEL_GAP / 2) continue;
    if (labelled) room = x;
    const gap = move.kind === "first" ? 0 : move.duration_ms ?? 0;
    const side = x > width - 40 ? "right" : x < 30 ? "left" : "middle";
    marks.push({ id: `m${move.term}`, move, at, gap, labelled, side });
  }
  const make = () => {
    const [gap, label] = [el("div", { class: "gap" }), el("div", { class: "took" })];
    return { node: el("div", { class: "mark-move" }, gap, label), gap, label };
  };
  keyed(strip.node, strip.parts, marks.reverse(), (it) => it.id, make, (part, mark) => {
    place(part.gap, scale, mark.at - mark.gap, mark.at);
    part.gap.hidden = mark.gap < 1000;
    part.label.style.left = `${(scale.part(mark.at) * 100).toFixed(3)}%`;
    part.label.dataset.side = mark.side;
    const length = mark.move.duration_ms === undefined ? "" : took(mark.move.duration_ms);
    text(part.label, mark.labelled ? length : "");
    part.label.classList.toggle("dot", !mark.labelled || !length);
    part.label.classList.toggle("fresh", mark.move.term === freshTerm);
    part.label.title = `to ${mark.move.pod}: ${why(mark.move.kind)}${length && `, took ${length}`}, ${clock(mark.at, true)}`;
  });
}

export function makeAxis() {
  return { node: el("div", { class: "axis", "aria-hidden": "true" }), parts: new Map() };
}

export function drawAxis(axis, scale) {
  const length = (scale.to - scale.from) / 1000;
  const labels = Math.max(2, Math.floor((axis.node.clientWidth || 600) / 90));
  const step = STEPS.find((it) => length / it <= labels) ?? Math.ceil(length / labels);
  const zone = new Date(scale.to).getTimezoneOffset() * 60;
  const ticks = [];
  const first = Math.ceil((scale.from / 1000 - zone) / step) * step + zone;
  for (let at = first; at * 1000 < scale.to; at += step) ticks.push(at * 1000);
  const label = (ms) => {
    const at = clock(ms, true);
    if (step >= 86400) return at.slice(5, 10);
    return step >= 60 ? at.slice(11, 16) : at.slice(11);
  };
  keyed(axis.node, axis.parts, ticks, (ms) => `${ms}-${step}`, () => ({ node: el("span", {}) }), (part, ms) => {
    text(part.node, label(ms));
    const x = scale.part(ms);
    part.node.style.left = `${(x * 100).toFixed(3)}%`;
    part.node.hidden = x < 0.03 || x > 0.97;
  });
}
