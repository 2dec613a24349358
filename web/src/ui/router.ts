/**
 * The address is the state of what is open: `?frame=ID`, `?compare=ID,ID`, `?operator`. So reloading, going
 * back and sending a link all do what one expects, and the server only serves `/`.
 */
import { useSyncExternalStore } from "react";

export type Route =
  | { view: "studio" }
  | { view: "operator" }
  | { view: "frame"; id: string }
  | { view: "compare"; ids: [string, string] };

export function parseRoute(search: string): Route {
  const params = new URLSearchParams(search);
  if (params.has("operator")) return { view: "operator" };
  const frame = params.get("frame");
  if (frame) return { view: "frame", id: frame };
  const [left, right] = (params.get("compare") ?? "").split(",");
  if (left && right) return { view: "compare", ids: [left, right] };
  return { view: "studio" };
}

export function addressOf(route: Route): string {
  switch (route.view) {
    case "studio":
      return "/";
    case "operator":
      return "/?operator";
    case "frame":
      return `/?frame=${encodeURIComponent(route.id)}`;
    case "compare":
      return `/?compare=${route.ids.map(encodeURIComponent).join(",")}`;
  }
}

const listeners = new Set<() => void>();
const tell = () => {
  for (const listener of listeners) listener();
};

export function go(route: Route): void {
  history.pushState({ inside: true }, "", addressOf(route));
  tell();
}

/** Close what is open: back to where one came from, or to the studio from an outside link. */
export function close(): void {
  if ((history.state as { inside?: boolean } | null)?.inside) history.back();
  else {
    history.replaceState(null, "", "/");
    tell();
  }
}

/** Close everything that is open. */
export function toStudio(): void {
  if (location.search) go({ view: "studio" });
}

export function useRoute(): Route {
  const search = useSyncExternalStore(subscribe, () => location.search);
  return parseRoute(search);
}

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) addEventListener("popstate", tell);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) removeEventListener("popstate", tell);
  };
}
