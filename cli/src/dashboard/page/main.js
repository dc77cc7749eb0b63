// Brings the parts together: what the server tells goes into the state, what changed is shown.

import { askPause, askSwitchover } from "./dialogs.js";
import { focusTitle, showDetail, tellOutcome, tickDetail } from "./detail.js";
import { attr, byId, el, keyed, text } from "./dom.js";
import { flash, focusRow, markChosen, neighbour, showList, showRows, tickList } from "./list.js";
import { state, nowMs, take } from "./state.js";
import { listen, takeKey } from "./stream.js";
import { span, took, why } from "./text.js";

let chosen = null;
let fromKeyboard = false;
const notes = new Map();

const actions = {
  switchover: (id, to) => askSwitchover(id, to, (said) => tellOutcome(id, said, true)),
  pause: (id) => askPause(id, (said) => tellOutcome(id, said, true)),
};

// --- Where we are ---------------------------------------------------------------------------

function readPlace() {
  const found = /^#\/([^/]+)\/([^/]+)$/.exec(location.hash);
  return found ? `${decodeURIComponent(found[1])}/${decodeURIComponent(found[2])}` : null;
}

function go() {
  const before = chosen;
  chosen = readPlace();
  document.body.classList.toggle("has-chosen", chosen !== null);
  markChosen(chosen);
  if (state.complete) showDetail(chosen, actions);
  if (chosen !== before && chosen === null) focusRow(before);
  else if (chosen !== before && matchMedia("(max-width: 899px)").matches) {
    scrollTo(0, 0);
    focusTitle();
  }
}

// --- What is shown --------------------------------------------------------------------------

function showContact() {
  const contact = byId("contact");
  const old = span((nowMs() - state.contact.seen_until_ms) / 1000);
  const lost = state.cut || state.contact.lost;
  const kind = !state.complete && !state.cut ? "waiting" : lost ? "lost" : "live";
  attr(contact, "data-state", kind);
  const words = { waiting: "Connecting", live: "Live", lost: `Reconnecting · data ${old} old` };
  text(byId("contact-text"), words[kind]);
  attr(contact, "title", state.cut ? "kubectl active-passive dashboard does not answer" : state.contact.lost);
  document.body.classList.toggle("stale", Boolean(lost) && state.complete);
}

function showNotes() {
  const lost = state.cut
    ? "kubectl active-passive dashboard does not answer: is it still running? This page goes on by itself once it does."
    : state.contact.lost && `The API server does not answer; what is shown is from before, and goes on by itself once it does. (${state.contact.lost.replaceAll("`", "")})`;
  const all = [...(lost ? [lost] : []), ...state.unseen.map((it) => `Not shown: ${it}`)];
  keyed(byId("notes"), notes, all, (it) => it, (it) => ({ node: el("p", {}, it) }), () => {});
}

function showAll() {
  const none = state.complete && state.groups.size === 0;
  byId("page").hidden = !state.complete || none;
  byId("empty").hidden = !none;
  text(byId("empty-place"), state.namespace === null ? "" : `in namespace ${state.namespace}`);
  text(byId("scope"), `${state.namespace === null ? "all namespaces" : state.namespace} · ${state.cluster}`);
  document.title = `${state.namespace ?? "all groups"} · active-passive`;
  showList(chosen);
  showDetail(chosen, actions);
}

function tellMoves(happened) {
  for (const { group, move, settled } of happened) {
    if (!settled) flash(group.id);
    const name = state.namespace === null ? group.id : group.group;
    const length = move?.duration_ms === undefined ? "" : `, took ${took(move.duration_ms)}`;
    if (settled && move.duration_ms === undefined) continue;
    const told = settled ? `${name}: the move to ${move.pod} took ${took(move.duration_ms)}` : move ? `${name}: ${move.pod} is active: ${why(move.kind)}${length}` : `${name}: nobody is active`;
    text(byId("said"), told);
  }
}

let counts = "";

function heard(frame) {
  const was = state.complete;
  const { changed, happened } = take(frame);
  showContact();
  showNotes();
  if (!state.complete) return;
  const ids = [...state.groups.keys()].length;
  if (changed.size || !was || frame.all) {
    // Rows come, go or change places only where the set of groups, or what is asked for, changes.
    const now = `${ids}${[...changed].some((id) => !state.groups.has(id))}`;
    if (now !== counts || frame.all || !was || changed.size > 20) showAll();
    else {
      showRows(changed);
      showList(chosen);
      if (chosen === null || changed.has(chosen)) showDetail(chosen, actions);
    }
    counts = now;
  }
  tellMoves(happened);
}

// --- Keys -----------------------------------------------------------------------------------

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const search = byId("search");
  if (event.target === search) {
    if (event.key === "Escape") {
      search.value = "";
      showList(chosen);
      search.blur();
    } else if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      step(1, null);
    }
    return;
  }
  if (event.target.matches("input, select, textarea")) return;
  const group = chosen && state.groups.get(chosen);
  const focused = document.activeElement?.closest(".row");
  const onRow = focused ? decodeURIComponent(focused.getAttribute("href").slice(2)) : chosen;
  if (event.key === "/") search.focus();
  else if (event.key === "ArrowDown" || event.key === "j") step(1, onRow);
  else if (event.key === "ArrowUp" || event.key === "k") step(-1, onRow);
  else if (event.key === "Escape" && chosen) location.hash = "#/";
  else if ((event.key === "s" || event.key === "S") && group) actions.switchover(chosen, null);
  else if ((event.key === "p" || event.key === "P") && group) actions.pause(chosen);
  else return;
  event.preventDefault();
}

function step(by, from) {
  const next = neighbour(from, by);
  if (!next) return;
  focusRow(next);
  // Where both stand side by side, the detail follows.
  if (!matchMedia("(max-width: 899px)").matches) history.replaceState(null, "", `#/${next}`);
  go();
}

// --- Begin ----------------------------------------------------------------------------------

function locked() {
  byId("page").hidden = true;
  byId("empty").hidden = true;
  byId("locked").hidden = false;
  attr(byId("contact"), "data-state", "lost");
  text(byId("contact-text"), "Locked");
}

function begin() {
  if (!takeKey()) return locked();
  addEventListener("hashchange", () => (takeKey(), go()));
  addEventListener("keydown", keys);
  addEventListener("resize", tickDetail);
  byId("search").addEventListener("input", () => showList(chosen));
  byId("filter").addEventListener("change", () => showList(chosen));
  setInterval(() => {
    showContact();
    if (document.hidden || !state.complete) return;
    tickList();
    tickDetail();
  }, 1000);
  listen({
    heard,
    locked,
    lost: () => {
      // What was seen stays; it ages.
      if (!state.cut) state.contact = { ...state.contact, seen_until_ms: Math.min(state.contact.seen_until_ms || nowMs(), nowMs()) };
      state.cut = true;
      showContact();
      showNotes();
    },
  });
  go();
}

begin();
