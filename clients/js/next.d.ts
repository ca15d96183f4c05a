import type { Options } from "./deckle.js";

export type Loader = (picture: { src: string; width: number; quality?: number }) => string;

/** A loader with settings of its own. */
export function loader(settings?: { base?: string } & Options): Loader;

/** A loader for the edge that NEXT_PUBLIC_DECKLE_URL names. */
declare const standard: Loader;
export default standard;
