/**
 * Who is using the page: where its bearer token comes from.
 *
 * 1. `#token=…` in the address. The site that links here puts it there; it is kept for this tab
 *    and taken out of the address at once. A fragment is never sent to a server or logged by one.
 * 2. This tab's sessionStorage, where it was kept or where the sign-in form has put it.
 * 3. POST /dev/token, which exists in development only.
 */
import { createStore } from "../ui/store";

const KEPT_AS = "mintari.token";
/** A token that is about to expire would be refused on its way. */
const MARGIN_S = 10;

/** `true` when a person has to give a token: the page shows the sign-in form. */
export const signInNeeded = createStore(false);

let waiting: ((token: string) => void)[] = [];
let asking: Promise<string> | undefined;

/** A token that should hold. Waits for the sign-in form when there is no other way. */
export async function currentToken(): Promise<string> {
  const kept = read();
  if (kept && !isExpired(kept, Date.now() / 1000)) return kept;
  asking ??= askForToken().finally(() => {
    asking = undefined;
  });
  return asking;
}

/** Forget a token that the API has refused. */
export function distrust(token: string | undefined): void {
  if (token === undefined || token === read()) sessionStorage.removeItem(KEPT_AS);
}

/** Keep a token that a person has given. */
export function signIn(token: string): void {
  sessionStorage.setItem(KEPT_AS, token);
  signInNeeded.set(false);
  for (const go of waiting) go(token);
  waiting = [];
}

/** Take the token out of the address, before anything else can see it. */
export function takeTokenFromAddress(): void {
  const token = tokenInFragment(location.hash);
  if (!token) return;
  history.replaceState(history.state, "", location.pathname + location.search);
  signIn(token);
}

export function tokenInFragment(hash: string): string | undefined {
  return new URLSearchParams(hash.replace(/^#/, "")).get("token") || undefined;
}

/** Whether a JWT's `exp` has passed. Only the API can say whether it holds otherwise. */
export function isExpired(token: string, nowS: number): boolean {
  try {
    const payload = token.split(".")[1] ?? "";
    const json = atob(payload.replace(/-/g, "+").replace(/_/g, "/"));
    const { exp } = JSON.parse(json) as { exp?: unknown };
    return typeof exp === "number" && exp - MARGIN_S < nowS;
  } catch {
    return false;
  }
}

function read(): string | undefined {
  return sessionStorage.getItem(KEPT_AS) || undefined;
}

async function askForToken(): Promise<string> {
  const response = await fetch("/dev/token", { method: "POST" });
  if (response.ok) {
    const { token } = (await response.json()) as { token: string };
    sessionStorage.setItem(KEPT_AS, token);
    return token;
  }
  // 404 is production's answer; anything else is a server that has trouble, not a lost identity.
  if (response.status !== 404 && response.status !== 405) {
    throw new Error("The server has no token for this page right now.");
  }
  signInNeeded.set(true);
  return new Promise((resolve) => waiting.push(resolve));
}
