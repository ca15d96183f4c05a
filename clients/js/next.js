// A loader for Next.js' <Image>: its src is a picture's id, with options behind it if need be, as in /shop/hat?fit=crop&gravity=north.
import { deckle, fromQuery } from "./deckle.js";

/**
 * Returns a loader with settings of its own: {base: "https://images.example.com", format: "webp"}.
 * @param {{base?: string} & import("./deckle.js").Options} settings
 */
export function loader(settings) {
  const images = deckle(settings);
  return ({ src, width, quality }) => {
    const [id, query = ""] = src.split("?");
    const own = fromQuery(query);
    if (quality !== undefined) own.quality = quality;
    return images.url(decodeURIComponent(id).replace(/^\/+/, ""), { ...own, width });
  };
}

/** The loader for next.config.js' images.loaderFile; NEXT_PUBLIC_DECKLE_URL is the edge's URL. */
export default loader({ base: process.env.NEXT_PUBLIC_DECKLE_URL ?? "" });
