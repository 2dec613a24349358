/**
 * The one websocket of the page. Every live grid is a subscription on it; it opens with the first
 * and closes a while after the last. When it breaks it comes back by itself, and because every
 * subscription starts with a snapshot, coming back is all it takes to be right again.
 */
import { CloseCode, createClient, type Client } from "graphql-ws";
import { backoffMs } from "./backoff";
import { nextOpportunity, notReached, reached } from "./reachability";
import { currentToken, distrust } from "./session";

/** How often a quiet connection is tested, and how long an answer may take. */
const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;
/** A woken laptop's socket looks open and is dead: then it is tested at once, and impatiently. */
const PONG_AFTER_SLEEP_MS = 2_000;

export function openSocket(url: string): Client {
  let pongTimer: ReturnType<typeof setTimeout> | undefined;
  let socket: WebSocket | undefined;

  const expectPong = (withinMs: number) => {
    clearTimeout(pongTimer);
    pongTimer = setTimeout(() => client.terminate(), withinMs);
  };
  const test = () => {
    if (socket?.readyState !== WebSocket.OPEN) return;
    socket.send('{"type":"ping"}');
    expectPong(PONG_AFTER_SLEEP_MS);
  };

  const client = createClient({
    url,
    lazy: true,
    lazyCloseTimeout: 3_000,
    keepAlive: PING_EVERY_MS,
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => true,
    retryWait: (attempt) => nextOpportunity(backoffMs(attempt)),
    connectionParams: async () => ({ authorization: `Bearer ${await currentToken()}` }),
    on: {
      connected(opened) {
        socket = opened as WebSocket;
        reached();
      },
      ping: (received) => void (received || expectPong(PONG_WITHIN_MS)),
      pong: (received) => void (received && clearTimeout(pongTimer)),
      closed(event) {
        clearTimeout(pongTimer);
        socket = undefined;
        const { code, wasClean } = event as CloseEvent;
        // The API closes with 4403 when the token does not hold (any more).
        if (code === CloseCode.Forbidden) distrust(undefined);
        else if (!wasClean || code !== 1000) notReached();
      },
    },
  });

  addEventListener("online", test);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") test();
  });
  return client;
}
