import { useEffect, useState } from "react";

/**
 * The newest of a row of pictures that is ready to be shown.
 *
 * While the next preview is still on its way the one before stays: the frame never blinks.
 */
export function useDecoded(url: string | null | undefined): string | undefined {
  const [shown, setShown] = useState<string>();
  useEffect(() => {
    if (!url) return;
    let wanted = true;
    const image = new Image();
    image.src = url;
    image.decode().then(
      () => wanted && setShown(url),
      () => undefined, // it was replaced meanwhile, or cannot be shown: the next one will do
    );
    return () => {
      wanted = false;
    };
  }, [url]);
  return shown;
}
