// Times in words, as the command line says them.

export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const [m, h, d] = [Math.floor(s / 60), Math.floor(s / 3600), Math.floor(s / 86400)];
  const two = (big, unit, small, smallUnit) => small ? `${big}${unit} ${small}${smallUnit}` : `${big}${unit}`;
  if (s < 120) return `${s}s`;
  if (s < 600) return two(m, "m", s % 60, "s");
  if (s < 10800) return `${m}m`;
  if (s < 28800) return two(h, "h", m % 60, "m");
  if (s < 172800) return `${h}h`;
  if (s < 691200) return two(d, "d", h % 24, "h");
  return `${d}d`;
}

// How long a move took.
export function took(ms) {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 10000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  return span(ms / 1000);
}

// Why a role moved.
const KINDS = {
  first: "first",
  drain: "its pod went away",
  unready: "its app was not ready",
  disruption: "eviction",
  switchover: "switchover",
  released: "released",
  expired: "lease expired",
  retaken: "taken back",
  recreated: "Lease made anew",
};

export function why(kind) {
  return KINDS[kind] ?? kind;
}

export function clock(ms, withDate) {
  const at = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return withDate ? `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}` : time;
}

const PHASES = {
  "active": "active",
  "active-unready": "active, not ready",
  "active-draining": "active, draining",
  "standby": "standby",
  "unready": "not ready",
  "draining": "draining",
  "unwatched": "there, before this page looked",
  "gone": "gone",
};

export function phase(name) {
  return PHASES[name] ?? name;
}

export function isActive(name) {
  return name.startsWith("active");
}
