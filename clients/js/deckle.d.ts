/** A format that a picture can be asked for in; auto is AVIF, WebP or the source's own family, by what the viewer accepts. */
export type Format = "auto" | "jpg" | "png" | "webp" | "avif" | "gif" | "jxl" | "heic" | "tif";

export type Point =
  | "center" | "north" | "northeast" | "east" | "southeast" | "south" | "southwest" | "west" | "northwest";

/** What to do to a picture. What is left out keeps its default; a text goes into the URL as it is. */
export interface Options {
  /** CSS pixels of the box; 0, or leaving it out, leaves a side free. */
  width?: number;
  height?: number;
  /** Device pixels for each CSS pixel: 2, 1.5. Two decimals at most, up to 20. */
  dpr?: number;
  /** auto unless given. */
  format?: Format | (string & {});
  fit?: "clip" | "crop" | "canvas" | "cover" | "stretch" | (string & {});
  /** What a crop keeps, where a canvas places; x and y are fractions from the left and from the top. */
  gravity?: Point | "attention" | "entropy" | { x: number; y: number } | (string & {});
  enlarge?: boolean | string;
  /** Cut from the source first: [x, y, width, height] in pixels, or corners as fractions. */
  crop?: [number, number, number, number] | { x0: number; y0: number; x1: number; y1: number } | string;
  /** Threshold, 0-255, for cutting uniform borders. */
  trim?: number | string;
  rotate?: 0 | 90 | 180 | 270 | string;
  flip?: "h" | "v" | "hv" | (string & {});
  quality?: "auto" | number | (string & {});
  lossless?: boolean | string;
  maxBytes?: number | string;
  blur?: boolean | number | string;
  sharpen?: boolean | number | string;
  /** Per cent, 100 changes nothing. */
  brightness?: number | string;
  contrast?: number | string;
  saturation?: number | string;
  gray?: boolean | string;
  /** white, transparent, blur, or a colour in hex, with or without #. */
  background?: string;
  /** Frame or page of the source; the first is 1. */
  page?: number | string;
  /** false shows the first frame of an animation. */
  animate?: boolean | string;
  watermark?: { name: string; gravity?: Point; scale?: number; opacity?: number } | string;
  preset?: string;
  /** Name of the file that browsers save the picture as. */
  download?: string;
  /** JSON instead of a picture. */
  placeholder?: "thumbhash" | "blurhash" | "color" | (string & {});
  /** Bytes, although the server redirects to public copies. */
  bytes?: boolean | string;
  /** Marks the URL as one whose picture never changes: it is kept for a year. */
  version?: string | number;
}

/** Options of pictures in several sizes. */
export interface Responsive extends Options {
  /** Widths in device pixels, for srcset's w; a box of width and height gives their ratio. */
  widths?: number[];
  /** Densities for srcset's x; [1, 2] unless given. */
  densities?: number[];
  /** How wide the picture is shown, for widths; 100vw unless given. */
  sizes?: string;
}

export interface ImgAttributes {
  src: string;
  srcset?: string;
  sizes?: string;
  width?: number;
  height?: number;
}

export interface PictureSource {
  type: string;
  srcset?: string;
  sizes?: string;
}

export interface Deckle {
  url(id: string, options?: Options): string;
  original(id: string, format: Format | (string & {})): string;
  info(id: string): string;
  srcset(id: string, options?: Responsive): string;
  img(id: string, options?: Responsive): ImgAttributes;
  picture(id: string, options?: Responsive & { formats?: string[] }): { sources: PictureSource[]; img: ImgAttributes };
}

/** Returns what builds URLs below base, the edge's URL, with options that all of them have. */
export function deckle(settings?: { base?: string } & Options): Deckle;

/** The path and query of one picture. Throws TypeError or RangeError for what no server would take. */
export function path(id: string, options?: Options): string;

/** Options out of a query as Deckle spells them. */
export function fromQuery(query: string): Options;

/** An id as a path spells it. */
export function encodeID(id: string): string;
