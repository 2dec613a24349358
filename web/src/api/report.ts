import type { CombinedError } from "@urql/core";
import { showToast } from "../ui/toasts";
import { createStore } from "../ui/store";
import { problemOf } from "./problems";

/** Until when new work is refused; Unix time in milliseconds, 0 when it is not. */
export const refusedUntil = createStore(0);

/** Shows an error that any operation can meet; offers `again` where waiting is not the remedy. */
export function report(error: CombinedError, again?: () => void): void {
  const problem = problemOf(error, Date.now());
  if (problem.retryAt) refusedUntil.set(problem.retryAt);
  const action = again && !problem.retryAt ? { action: { label: "Try again", run: again } } : {};
  showToast({ tone: "problem", ...problem, ...action });
}
