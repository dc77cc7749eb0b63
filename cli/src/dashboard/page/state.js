// What the page knows, and what follows from it.

export const state = {
  groups: new Map(),
  renewed: new Map(),
  complete: false,
  namespace: null,
  cluster: "",
  version: "",
  contact: { lost: null, seen_until_ms: 0, outages: [] },
  unseen: [],
  // Of the machine that looks at the cluster, less the browser's.
  skewMs: 0,
  // The page's own server does not answer.
  cut: false,
  heardMs: 0,
};

export const nowMs = () => Date.now() + state.skewMs;

// What is shown is of this moment: beyond it nothing is known.
export const seenMs = () => (state.cut || state.contact.lost ? state.contact.seen_until_ms : nowMs());

// The moves of a group that have come to an end, the newest first. How long the last one took is not
// known for good before the Lease is renewed again.
export function moves(group) {
  const entries = [...group.history].reverse();
  if (group.settling && entries[0]?.duration_ms !== undefined) entries[0] = { ...entries[0], duration_ms: undefined, settling: true };
  const last = entries[0];
  if (last && last.duration_ms === undefined && !last.settling) {
    const pod = group.pods.find((it) => it.pod === last.pod);
    if (group.pods.length && !pod?.phase.startsWith("active")) entries.shift();
  }
  return entries;
}

export const leads = (group) => Boolean(group.active) && !group.leaderless;

// Doubts that are worth looking at: a pause is said apart.
export const worries = (group) => group.warnings.filter((it) => it.code !== "Paused" && it.code !== "SwitchoverPending");

export const needsAttention = (group) => !leads(group) || worries(group).length > 0;

export const readyOf = (group) => group.pods.filter((pod) => pod.ready).length;

export function matches(group, words) {
  if (!words.length) return true;
  const all = [group.namespace, group.group, group.owner, group.active, ...group.pods.flatMap((pod) => [pod.pod, pod.node])];
  const text = all.filter(Boolean).join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

// Takes a frame in. Gives what has changed: ids of groups, and the moves that were seen to happen.
export function take(frame) {
  state.skewMs = frame.now_ms - Date.now();
  state.heardMs = Date.now();
  state.cut = false;
  for (const name of ["complete", "namespace", "cluster", "version", "contact", "unseen"]) state[name] = frame[name];
  const [changed, happened] = [new Set(), []];
  const known = new Set(frame.groups.map((group) => group.id));
  const gone = frame.all ? [...state.groups.keys()].filter((id) => !known.has(id)) : frame.gone;
  for (const id of gone) {
    state.groups.delete(id);
    state.renewed.delete(id);
    changed.add(id);
  }
  for (const group of frame.groups) {
    const before = state.groups.get(group.id);
    state.groups.set(group.id, group);
    changed.add(group.id);
    if (!before) continue;
    const term = moves(before)[0]?.term ?? 0;
    const news = moves(group).filter((move) => move.term > term);
    for (const move of news.reverse()) happened.push({ group, move, from: before.active });
    const last = moves(group)[0];
    if (before.settling && !group.settling && last?.term === term) happened.push({ group, move: last, settled: true });
    if (group.leaderless && !before.leaderless) happened.push({ group, move: null, from: before.active });
  }
  for (const [id, ms] of Object.entries(frame.renewed_ms)) state.renewed.set(id, ms);
  return { changed, happened };
}
