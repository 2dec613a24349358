/** Sends a photo, small enough for the API, with progress. */
import { reached, notReached } from "./reachability";
import { currentToken, distrust } from "./session";

export interface UploadedPhoto {
  id: string;
  url: string | null;
  thumbnailUrl: string | null;
  thumbhash: string;
  width: number;
  height: number;
}

/** Media types that every Mintari takes. */
export const TAKEN = ["image/png", "image/jpeg", "image/webp"];

/** The photo was not taken; the message is for people. */
export class UploadFailed extends Error {}

export interface UploadOptions {
  maxBytes: number;
  signal: AbortSignal;
  onProgress: (fraction: number) => void;
}

export async function uploadPhoto(file: Blob, options: UploadOptions): Promise<UploadedPhoto> {
  const isFine = TAKEN.includes(file.type) && file.size <= options.maxBytes;
  const body = isFine ? file : await reencode(file);
  let answer = await send(body, await currentToken(), options);
  if (answer.status === 401) {
    distrust(undefined);
    answer = await send(body, await currentToken(), options);
  }
  if (answer.status === 201) return JSON.parse(answer.text) as UploadedPhoto;
  throw new UploadFailed(messageIn(answer.text));
}

function messageIn(text: string): string {
  try {
    return (JSON.parse(text) as { error: { message: string } }).error.message;
  } catch {
    return "The photo could not be sent. Please try again.";
  }
}

/** XMLHttpRequest, because fetch cannot tell how much of a body has been sent. */
function send(
  body: Blob,
  token: string,
  { signal, onProgress }: UploadOptions,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/uploads");
    request.setRequestHeader("authorization", `Bearer ${token}`);
    request.setRequestHeader("content-type", body.type || "application/octet-stream");
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    request.onload = () => {
      reached();
      resolve({ status: request.status, text: request.responseText });
    };
    request.onerror = () => {
      notReached();
      reject(new UploadFailed("The photo could not be sent. Is the network there?"));
    };
    request.onabort = () => reject(new DOMException("aborted", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

/** No frame is larger than 1536 pixels: more than twice that gains nothing. */
const LONGEST_SIDE_PX = 3_200;

/**
 * As a JPEG what is too heavy, or of a kind that the API may not take (a phone's HEIC, an AVIF).
 * Left as it is when the browser cannot read it: the API says why it does not take it.
 */
async function reencode(file: Blob): Promise<Blob> {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, LONGEST_SIDE_PX / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const small = await new Promise<Blob | null>((resolve) =>
      canvas.toBlob(resolve, "image/jpeg", 0.9),
    );
    return small ?? file;
  } catch {
    return file;
  }
}
