import { useSyncExternalStore } from "react";

/** One timer for everything on the page that counts seconds; none when nothing does. */
const TICK_MS = 1_000;

let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) {
    now = Date.now();
    timer = setInterval(() => {
      now = Date.now();
      for (const each of listeners) each();
    }, TICK_MS);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) clearInterval(timer);
  };
}

const still = () => () => undefined;

/** The time in Unix milliseconds, renewed every second while `running`. */
export function useNow(running = true): number {
  return useSyncExternalStore(running ? subscribe : still, () => (listeners.size ? now : frozen()));
}

/** Stable between ticks, as React asks for; fresh enough when nobody counts. */
function frozen(): number {
  const current = Date.now();
  if (current - now > TICK_MS) now = current;
  return now;
}
