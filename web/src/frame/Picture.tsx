import { useState } from "react";
import { useClient } from "urql";
import { FrameDetailsDocument, type ImageSize } from "../graphql/generated/graphql";
import { ThumbHash } from "../ui/ThumbHash";
import { useDecoded } from "./useDecoded";
import { pixelsOf, type Frame } from "./words";

interface PictureProps {
  frame: Frame;
  size: ImageSize;
  alt: string;
  /** The upload's ThumbHash: what there is to see before there is anything. */
  placeholder?: string | undefined;
  /** How wide it is shown, for the browser's choice between thumbnail and full size. */
  sizes: string;
  eager?: boolean;
}

/** Paper, then the photo's blur, then previews that sharpen, then the picture. It never jumps. */
export function Picture({ frame, size, alt, placeholder, sizes, eager = false }: PictureProps) {
  const { image, progress } = frame;
  const { width, height } = image ?? pixelsOf(size);
  // The last preview stays below the picture that fades in over it.
  const preview = useDecoded(frame.preview?.url);
  const hash = image?.thumbhash ?? placeholder;
  // The earliest previews are coarse: a blur that goes away as it is painted.
  const blurPx = Math.round((1 - progress / 100) * 6);
  return (
    <div className="picture" style={{ aspectRatio: `${width} / ${height}` }}>
      {hash ? <ThumbHash hash={hash} /> : null}
      {preview ? (
        <img
          className="preview"
          src={preview}
          alt=""
          style={{ filter: blurPx > 0 ? `blur(${blurPx}px)` : "none" }}
        />
      ) : null}
      {image?.url ? (
        <FinalImage key={frame.id} frame={frame} image={image} url={image.url} alt={alt} sizes={sizes} eager={eager} />
      ) : null}
    </div>
  );
}

interface FinalImageProps extends Pick<PictureProps, "frame" | "alt" | "sizes" | "eager"> {
  image: NonNullable<Frame["image"]>;
  url: string;
}

function FinalImage({ frame, image, url, alt, sizes, eager }: FinalImageProps) {
  const client = useClient();
  const [loaded, setLoaded] = useState(false);
  const [renewed, setRenewed] = useState(false);
  const thumbnailWidth = Math.round(320 * Math.min(1, image.width / image.height));
  return (
    <img
      className="final"
      data-loaded={loaded}
      src={url}
      srcSet={
        image.thumbnailUrl
          ? `${image.thumbnailUrl} ${thumbnailWidth}w, ${url} ${image.width}w`
          : undefined
      }
      sizes={sizes}
      alt={alt}
      width={image.width}
      height={image.height}
      loading={eager ? "eager" : "lazy"}
      decoding="async"
      onLoad={() => setLoaded(true)}
      onError={() => {
        // Addresses are signed for an hour; a page that was open for longer asks for a new one.
        if (renewed) return;
        setRenewed(true);
        const ask = { requestPolicy: "network-only" } as const;
        void client.query(FrameDetailsDocument, { id: frame.id }, ask).toPromise();
      }}
    />
  );
}
