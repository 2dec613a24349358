/** Light or dark: the system's, until the person chooses. */
import { createStore } from "./store";

export type Theme = "light" | "dark";

const KEPT_AS = "mintari.theme";

export const theme = createStore<Theme>("light");

export function startTheme(): void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem(KEPT_AS);
    const shown: Theme = chosen === "light" || chosen === "dark" ? chosen : dark.matches ? "dark" : "light";
    document.documentElement.dataset["theme"] = shown;
    theme.set(shown);
  };
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  apply();
}

export function switchTheme(): void {
  const next: Theme = theme.get() === "dark" ? "light" : "dark";
  localStorage.setItem(KEPT_AS, next);
  document.documentElement.dataset["theme"] = next;
  theme.set(next);
}
