// What asks before it changes something.

import { attr, byId, el, text } from "./dom.js";
import { state } from "./state.js";
import { ask } from "./stream.js";

// Runs what a dialog confirms: its buttons wait, an answer that is no closes nothing.
async function carryOut(dialog, button, waiting, path, wish) {
  const [answer, label] = [byId(`${dialog.id}-answer`), button.textContent];
  button.disabled = true;
  text(button, waiting);
  text(answer, "");
  try {
    const said = await ask(path, wish);
    dialog.close();
    return said;
  } catch (refused) {
    text(answer, refused.message);
    return null;
  } finally {
    button.disabled = false;
    text(button, label);
  }
}

function choice(value, name, what, { disabled, checked }) {
  const input = el("input", { type: "radio", name: "to", value, disabled, checked });
  return el("label", { class: "choice" }, input, el("span", { class: "choice-name" }, name), el("span", { class: "choice-what" }, what));
}

// Asks whom the role of a group shall go to; gives what the server says, once, to `done`.
export function askSwitchover(id, to, done) {
  const group = state.groups.get(id);
  const dialog = byId("switchover");
  if (!group || dialog.open) return;
  text(byId("switchover-title"), `Move the role of ${group.group}?`);
  text(byId("switchover-what"), `${group.active} hands over, and the traffic of the group's Services follows. Connections that are open stay with ${group.active}.`);
  text(byId("switchover-answer"), "");
  const others = group.pods.filter((pod) => pod.pod !== group.active);
  const able = others.filter((pod) => pod.eligible);
  const best = choice("", "The best one", "chosen by the active pod: newest revision, highest priority", { checked: to === null, disabled: !able.length && others.length > 0 });
  const pods = others.map((pod) => choice(pod.pod, pod.pod, pod.eligible ? [pod.node, "ready"].filter(Boolean).join(" · ") : pod.reason, { disabled: !pod.eligible, checked: pod.pod === to }));
  const list = byId("switchover-to");
  list.replaceChildren(list.firstElementChild, best, ...pods);
  const go = byId("switchover-go");
  go.disabled = !able.length && others.length > 0;
  go.onclick = async () => {
    const chosen = list.querySelector("input:checked")?.value || null;
    const wish = { namespace: group.namespace, group: group.group, to: chosen };
    const said = await carryOut(dialog, go, "Moving…", "/api/switchover", wish);
    if (said !== null) done(said);
  };
  attr(go, "data-group", id);
  dialog.showModal();
  list.querySelector("input:checked:not(:disabled)")?.focus();
}

export function askPause(id, done) {
  const group = state.groups.get(id);
  const dialog = byId("pause");
  if (!group || dialog.open) return;
  const pause = !group.paused;
  text(byId("pause-title"), pause ? `Pause ${group.group}?` : `Resume ${group.group}?`);
  const stays = group.active ? `The role stays with ${group.active}` : "Nobody becomes active";
  text(byId("pause-what"), pause ? `${stays}, also when it fails, until the group is resumed.` : "The role may move again: if the active pod has failed, at once.");
  text(byId("pause-answer"), "");
  const go = byId("pause-go");
  text(go, pause ? "Pause" : "Resume");
  go.onclick = async () => {
    const wish = { namespace: group.namespace, group: group.group, paused: pause };
    const said = await carryOut(dialog, go, pause ? "Pausing…" : "Resuming…", "/api/pause", wish);
    if (said !== null) done(said);
  };
  dialog.showModal();
  go.focus();
}
