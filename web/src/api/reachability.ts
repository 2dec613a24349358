import { createStore } from "../ui/store";

/** What keeps the page from the API: nothing, this machine's network, or the server. */
export type Obstacle = "none" | "offline" | "server";

export const obstacle = createStore<Obstacle>(now());

/** The API has answered: whatever was in the way is gone. */
export function reached(): void {
  obstacle.set("none");
}

/** A request or the socket did not get through. */
export function notReached(): void {
  obstacle.set(now() === "offline" ? "offline" : "server");
}

/** Resolves when it is worth trying again: the network is back, or the page is looked at again. */
export function nextOpportunity(withinMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      document.removeEventListener("visibilitychange", whenSeen);
      resolve();
    };
    const whenSeen = () => document.visibilityState === "visible" && done();
    const timer = setTimeout(done, withinMs);
    addEventListener("online", done);
    document.addEventListener("visibilitychange", whenSeen);
  });
}

/** Follow the browser's own idea of being online. */
export function watchNetwork(): void {
  addEventListener("offline", () => obstacle.set("offline"));
  addEventListener("online", () => obstacle.set((before) => (before === "offline" ? "none" : before)));
}

function now(): Obstacle {
  return typeof navigator !== "undefined" && navigator.onLine === false ? "offline" : "none";
}
