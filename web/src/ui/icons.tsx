/** Drawn with one brush: 20 × 20, round strokes, the colour of the text. */
import type { ReactNode } from "react";

function icon(paths: ReactNode) {
  return function Icon({ className = "" }: { className?: string }) {
    return (
      <svg className={`icon ${className}`} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
        {paths}
      </svg>
    );
  };
}

export const IconClose = icon(<path d="m5.5 5.5 9 9m0-9-9 9" />);
export const IconDownload = icon(<path d="M10 3.5v8.6m-3.4-3.2 3.4 3.4 3.4-3.4M4 16.2h12" />);
export const IconAgain = icon(<path d="M15.8 10a5.8 5.8 0 1 1-1.9-4.3m.3-2.6v3h-3" />);
export const IconCompare = icon(
  <path d="M10 3v14M4.6 5.5h2.8v9H4.6zm8 0h2.8v9h-2.8z" />,
);
export const IconTrash = icon(
  <path d="M4.5 6h11M8 6V4.2h4V6m-6 0 .7 9.8h6.6L14 6M8.7 9v4m2.6-4v4" />,
);
export const IconCamera = icon(
  <>
    <path d="M3.2 6.6h3.1l1.3-2h4.8l1.3 2h3.1v9H3.2z" />
    <circle cx="10" cy="10.8" r="2.7" />
  </>,
);
export const IconPhoto = icon(
  <>
    <path d="M3.5 4.5h13v11h-13z" />
    <path d="m3.8 13.6 3.6-3.8 2.8 2.8 2.6-2.4 3.4 3.2" />
    <circle cx="12.8" cy="7.6" r="1" />
  </>,
);
export const IconSun = icon(
  <>
    <circle cx="10" cy="10" r="3.3" />
    <path d="M10 2.5v1.7m0 11.6v1.7M2.5 10h1.7m11.6 0h1.7M4.7 4.7l1.2 1.2m8.2 8.2 1.2 1.2m0-10.6-1.2 1.2m-8.2 8.2-1.2 1.2" />
  </>,
);
export const IconMoon = icon(<path d="M16 11.6A6.6 6.6 0 1 1 8.4 4a5.3 5.3 0 0 0 7.6 7.6z" />);
export const IconLock = icon(
  <path d="M5.3 9h9.4v7H5.3zM7.2 9V6.7a2.8 2.8 0 0 1 5.6 0V9" />,
);
export const IconArrow = icon(<path d="M4 10h11m-4-4.2 4.2 4.2L11 14.2" />);
export const IconBrush = icon(
  <path d="M16.5 3.5c-3.6 1.4-7 4.6-8.6 7.6l1.2 1.2c3-1.6 6.2-5 7.4-8.8zM7.3 11.8c-1.8 0-2.7 1.2-2.8 2.5-.1 1-.6 1.6-1.4 2 2.6.7 5.6-.2 5.6-3.1z" />,
);
export const IconDice = icon(
  <>
    <path d="M4.5 4.5h11v11h-11z" />
    <path d="M7.5 7.5h.01m4.99 0h.01M10 10h.01M7.5 12.5h.01m4.99 0h.01" />
  </>,
);
export const IconCloudOff = icon(
  <path d="M6.2 15.2h7.6a3 3 0 0 0 .8-5.9 4.7 4.7 0 0 0-7.3-2.7M5.6 9.2a3 3 0 0 0 .3 6M3.5 3.5l13 13" />,
);
