import { createStore } from "./store";

export interface Toast {
  id: number;
  tone: "problem" | "news";
  title: string;
  message: string;
  /** When what was refused will work again; the toast counts down to it. Unix time, ms. */
  retryAt?: number;
  action?: { label: string; run: () => void };
}

/** More would cover the page; the oldest goes first. */
const MOST = 3;
let lastId = 0;

export const toasts = createStore<readonly Toast[]>([]);

export function showToast(toast: Omit<Toast, "id">): void {
  lastId += 1;
  const shown = { ...toast, id: lastId };
  // The same problem twice is one toast: the newer one knows better when it ends.
  toasts.set((now) => [...now.filter((other) => other.title !== toast.title), shown].slice(-MOST));
}

export function dismissToast(id: number): void {
  toasts.set((now) => now.filter((toast) => toast.id !== id));
}
