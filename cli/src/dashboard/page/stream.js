// What the server tells, and what it is asked. The key goes along in a header, never in an address.

const KEY = "key";
// The server sends something every two seconds.
const SILENCE_MS = 7000;
const RETRY_MS = 1000;

export function takeKey() {
  const found = /^#key=([0-9a-f]+)$/.exec(location.hash);
  if (found) {
    sessionStorage.setItem(KEY, found[1]);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(KEY);
}

const headers = () => ({ "X-Active-Passive-Key": sessionStorage.getItem(KEY) ?? "" });

// Listens for good. `heard(frame)`, `lost(why)`, `locked()`.
export async function listen({ heard, lost, locked }) {
  for (;;) {
    const ended = new AbortController();
    let silence;
    const hear = () => {
      clearTimeout(silence);
      silence = setTimeout(() => ended.abort(), SILENCE_MS);
    };
    try {
      hear();
      const answer = await fetch("/api/live", { headers: headers(), signal: ended.signal, cache: "no-store" });
      if (answer.status === 401) {
        clearTimeout(silence);
        return locked();
      }
      if (!answer.ok) throw new Error(await answer.text());
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        hear();
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        for (const event of events) {
          const data = event.split("\n").filter((line) => line.startsWith("data:"));
          if (data.length) heard(JSON.parse(data.map((line) => line.slice(5)).join("\n")));
        }
      }
    } catch {
      // Told below, whatever it was.
    }
    clearTimeout(silence);
    lost();
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

// Asks for a change; gives what the server says, or throws what it refuses with.
export async function ask(path, wish) {
  let answer;
  try {
    answer = await fetch(path, {
      method: "POST",
      headers: { ...headers(), "Content-Type": "application/json" },
      body: JSON.stringify(wish),
    });
  } catch {
    throw new Error("kubectl active-passive dashboard does not answer: is it still running?");
  }
  const text = await answer.text();
  let told = {};
  try {
    told = JSON.parse(text);
  } catch {
    told = { error: text };
  }
  if (!answer.ok) throw new Error(told.error || `status ${answer.status}`);
  return told.said;
}
