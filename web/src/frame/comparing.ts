/** The first of two frames to compare, while the person looks for the second. */
import { createStore } from "../ui/store";
import { go } from "../ui/router";
import type { Frame } from "./words";

export const pinned = createStore<Frame | undefined>(undefined);

export function compareWith(frame: Frame): void {
  const first = pinned.get();
  if (!first) pinned.set(frame);
  else if (first.id === frame.id) pinned.set(undefined);
  else {
    pinned.set(undefined);
    go({ view: "compare", ids: [first.id, frame.id] });
  }
}
