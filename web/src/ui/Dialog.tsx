import { useEffect, useRef, type ReactNode } from "react";
import { IconButton } from "./Button";
import { IconClose } from "./icons";

interface DialogProps {
  title: string;
  className?: string;
  onClose: () => void;
  children: ReactNode;
}

/** A modal dialog. The browser's own: it keeps the focus, closes on Escape and hides the rest. */
export function Dialog({ title, className = "", onClose, children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    // The element that had the focus gets it back: a removed dialog does not do that by itself.
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={ref}
      className={`dialog ${className}`}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => event.target === ref.current && onClose()}
    >
      <div className="dialog-sheet">
        <IconButton className="dialog-close" label="Close" icon={<IconClose />} onClick={onClose} />
        {children}
      </div>
    </dialog>
  );
}
