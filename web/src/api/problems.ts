/** What went wrong, as a person needs to hear it. */
import type { CombinedError } from "@urql/core";

export interface Problem {
  title: string;
  message: string;
  /** When it will work again; Unix time in milliseconds. */
  retryAt?: number;
}

export function codeOf(error: CombinedError): string | undefined {
  const code = error.graphQLErrors[0]?.extensions?.["code"];
  return typeof code === "string" ? code : undefined;
}

/** The words for an error that any operation can meet. */
export function problemOf(error: CombinedError, nowMs: number): Problem {
  if (error.networkError) {
    return {
      title: "No connection",
      message: "Mintari could not be reached. Nothing was lost: please try again.",
    };
  }
  const first = error.graphQLErrors[0];
  const message = first?.message ?? "Something went wrong. Please try again.";
  const after = first?.extensions?.["retryAfterSeconds"];
  const retryAt = typeof after === "number" ? { retryAt: nowMs + after * 1000 } : {};
  switch (codeOf(error)) {
    case "RATE_LIMITED":
      return { title: "One moment, please", message, ...retryAt };
    case "OVERLOADED":
      return { title: "Mintari is busy", message, ...retryAt };
    case "UNAUTHENTICATED":
      return { title: "Please sign in again", message };
    default:
      return { title: "That did not work", message };
  }
}
