/**
 * Says aloud, to screen readers, what has changed on the page: a state that was reached, never
 * each percent. What happens within a breath is said in one sentence.
 */
import { createStore } from "./store";

const BREATH_MS = 600;

export const spoken = createStore("");

let waiting: string[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

export function announce(sentence: string): void {
  waiting.push(sentence);
  timer ??= setTimeout(() => {
    spoken.set(waiting.join(" "));
    waiting = [];
    timer = undefined;
  }, BREATH_MS);
}
