import { useEffect } from "react";
import { IconButton } from "./Button";
import { useNow } from "./clock";
import { IconClose } from "./icons";
import { useStore } from "./store";
import { dismissToast, toasts, type Toast } from "./toasts";

const NEWS_STAYS_MS = 6_000;

/** Short messages in the corner. They don't take the focus; screen readers are told once. */
export function Toasts() {
  const shown = useStore(toasts);
  return (
    <section className="toasts" aria-label="Messages">
      {shown.map((toast) => (
        <ToastCard key={toast.id} toast={toast} />
      ))}
    </section>
  );
}

function ToastCard({ toast }: { toast: Toast }) {
  const { id, tone, title, message, retryAt, action } = toast;
  useEffect(() => {
    if (tone !== "news") return;
    const timer = setTimeout(() => dismissToast(id), NEWS_STAYS_MS);
    return () => clearTimeout(timer);
  }, [id, tone]);
  return (
    <div className={`toast toast-${tone}`}>
      <div className="toast-text" role={tone === "problem" ? "alert" : "status"}>
        <strong>{title}</strong>
        <p>{message}</p>
      </div>
      {retryAt ? <Countdown until={retryAt} /> : null}
      {action ? (
        <button
          type="button"
          className="link-button"
          onClick={() => {
            dismissToast(id);
            action.run();
          }}
        >
          {action.label}
        </button>
      ) : null}
      <IconButton label="Dismiss" icon={<IconClose />} onClick={() => dismissToast(id)} />
    </div>
  );
}

/** Counts down for eyes only: a screen reader that reads every second is of no use. */
function Countdown({ until }: { until: number }) {
  const now = useNow();
  const leftS = Math.ceil((until - now) / 1000);
  return (
    <p className="countdown" data-testid="countdown">
      {leftS > 0 ? `Works again in ${leftS} s` : "It works again now."}
    </p>
  );
}
